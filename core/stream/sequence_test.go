package stream

import (
	"fmt"
	"math/big"
	"regexp"
	"testing"

	"pgregory.net/rapid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
)

// layout builds the number digit by digit from the table in SequenceNumber's comment.
func layout(n SequenceNumber) string {
	hex := fmt.Sprintf("2%09x%x%016x00%09x%08x2", n.Created, uint32(n.Shard&0xf), n.Position, n.Second, uint32(n.Shard))
	v, ok := new(big.Int).SetString(hex, 16)
	if !ok {
		panic(hex)
	}
	return v.String()
}

func TestSequenceNumberGolden(t *testing.T) {
	for _, c := range []struct {
		text string
		want SequenceNumber
	}{
		// Numbers of the Kinesis service, from its documentation and public reports.
		{"49543463076570308322303623326179887152428262250726293522", SequenceNumber{1411403981, 1, 0x157c, 1411431220}},
		{"49544985256907370027570885864065577703022652638596431874", SequenceNumber{1415670039, 0, 0x32003d1f4, 1431623575}},
		{"49590338271490256608559692538361571095921575989136588898", SequenceNumber{1542776258, 6, 1734642199, 1545084650}},
		// The start, and the end a minute later, of shard 17 made at 2026-11-22T00:00:00Z, which is 0x06b023080:
		// 2 06b023080 1 0000000000000000 00 06b023080 00000011 2 and 2 06b023080 1 7fffffffffffffff 00 06b0230bc 00000011 2.
		{"49680443751556266444625454173789956601324938873953845522", SequenceNumber{1795305600, 17, 0, 1795305600}},
		{"49680443751567416817224719485359515534641652548700733714", SequenceNumber{1795305600, 17, EndPosition, 1795305660}},
	} {
		if got := layout(c.want); got != c.text {
			t.Errorf("%+v is laid out as %s, want %s", c.want, got, c.text)
		}
		if got := c.want.String(); got != c.text {
			t.Errorf("%+v is written %s, want %s", c.want, got, c.text)
		}
		if got, err := ParseSequenceNumber(c.text); err != nil || got != c.want {
			t.Errorf("%s is read as %+v, %v, want %+v", c.text, got, err, c.want)
		}
	}
}

func sequenceNumbers() *rapid.Generator[SequenceNumber] {
	return rapid.Custom(func(t *rapid.T) SequenceNumber {
		return SequenceNumber{
			Created:  rapid.Int64Range(0, secondMask).Draw(t, "created"),
			Shard:    record.ShardID(rapid.Uint32().Draw(t, "shard")),
			Position: rapid.Uint64Range(0, EndPosition).Draw(t, "position"),
			Second:   rapid.Int64Range(0, secondMask).Draw(t, "second"),
		}
	})
}

func TestSequenceNumberRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, o := sequenceNumbers().Draw(t, "n"), sequenceNumbers().Draw(t, "o")
		text := n.String()
		if want := layout(n); text != want || len(text) != sequenceDigits {
			t.Fatalf("%+v is written %s, want %s", n, text, want)
		}
		if back, err := ParseSequenceNumber(text); err != nil || back != n {
			t.Fatalf("%s is read as %+v, %v, want %+v", text, back, err, n)
		}
		// Equal length makes the order of the texts that of the numbers.
		if got, want := n.Compare(o) < 0, text < o.String(); got != want {
			t.Fatalf("%+v before %+v is %v, want %v", n, o, got, want)
		}
	})
}

func TestSequenceNumberMatchesTheKinesisPattern(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shard := record.ShardID(rapid.Uint32Range(0, 15).Draw(t, "shard"))
		n := SequenceNumber{
			Created:  rapid.Int64Range(1e9, 1<<32-1).Draw(t, "created"),
			Shard:    shard,
			Position: rapid.Uint64Range(0, EndPosition).Draw(t, "position"),
			Second:   rapid.Int64Range(1e9, 1<<32-1).Draw(t, "second"),
		}
		v, _ := new(big.Int).SetString(n.String(), 10)
		want := regexp.MustCompile(fmt.Sprintf(`^20[0-9a-f]{8}%x[0-9a-f]{16}000[0-9a-f]{8}0000000%x2$`, uint32(shard), uint32(shard)))
		if !want.MatchString(v.Text(16)) {
			t.Fatalf("%x does not match %v", v, want)
		}
	})
}

func TestSequenceNumberRefusesEveryOtherText(t *testing.T) {
	good := SequenceNumber{Created: 1795305600, Shard: 3, Position: 7, Second: 1795305601}
	v, _ := new(big.Int).SetString(good.String(), 10)
	flip := func(bit uint) string { return new(big.Int).Xor(v, new(big.Int).Lsh(big.NewInt(1), bit)).String() }
	for name, s := range map[string]string{
		"empty":                         "",
		"zero":                          "0",
		"too short":                     good.String()[1:],
		"too long":                      good.String() + "0",
		"a letter":                      "a" + good.String()[1:],
		"a sign":                        "-" + good.String()[1:],
		"all nines":                     "99999999999999999999999999999999999999999999999999999999",
		"another version":               flip(0),
		"reserved bits":                 flip(72),
		"shard's low digits differ":     flip(144),
		"position of more than 63 bits": flip(143),
		"another leading digit":         flip(184),
	} {
		if n, err := ParseSequenceNumber(s); fault.CodeOf(err) != "stream.invalid_sequence_number" {
			t.Errorf("%s: %q was read as %+v, %v", name, s, n, err)
		}
	}
}

func FuzzParseSequenceNumber(f *testing.F) {
	f.Add("49590338271490256608559692538361571095921575989136588898")
	f.Add("49680443751556266444625454173789956601324938873953845522")
	f.Add("0")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseSequenceNumber(s)
		if err == nil && n.String() != s {
			t.Fatalf("%q was read as %+v, which is written %q", s, n, n.String())
		}
	})
}

func BenchmarkSequenceNumberAppend(b *testing.B) {
	n := SequenceNumber{Created: 1795305600, Shard: 3, Position: 7, Second: 1795305601}
	buf := make([]byte, 0, sequenceDigits)
	b.ReportAllocs()
	for b.Loop() {
		buf = n.Append(buf[:0])
	}
}
