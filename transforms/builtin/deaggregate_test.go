package builtin_test

import (
	"crypto/md5"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// aggregated is a record of the Kinesis Producer Library: a key, an explicit hash key and the data of each member.
func aggregated(members ...[3]string) string {
	var keys, hashKeys, records []byte
	n := 0
	for i, m := range members {
		keys = protowire.AppendString(protowire.AppendTag(keys, 1, protowire.BytesType), m[0])
		r := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(i))
		if m[1] != "" {
			hashKeys = protowire.AppendString(protowire.AppendTag(hashKeys, 2, protowire.BytesType), m[1])
			r = protowire.AppendVarint(protowire.AppendTag(r, 2, protowire.VarintType), uint64(n))
			n++
		}
		r = protowire.AppendString(protowire.AppendTag(r, 3, protowire.BytesType), m[2])
		records = protowire.AppendBytes(protowire.AppendTag(records, 3, protowire.BytesType), r)
	}
	message := append(append(keys, hashKeys...), records...)
	sum := md5.Sum(message)
	return "\xF3\x89\x9A\xC2" + string(message) + string(sum[:])
}

func TestMembersOfAnAggregatedRecordHaveTheirOwnKeys(t *testing.T) {
	tr := open(t, "deaggregate", "format: kpl")
	got := apply(t, tr, aggregated([3]string{"k1", "", "one"}, [3]string{"k2", "340282366920938463463374607431768211455", ""}, [3]string{"k3", "", "three"}), "plain", aggregated())
	if s := fmt.Sprint(got); s != "[[one  three] unchanged dropped]" {
		t.Fatal(s)
	}
	for i, want := range []string{"k1 [{origin test}]", "k2 [{origin test} {explicit_hash_key 340282366920938463463374607431768211455}]", "k3 [{origin test}]"} {
		if o := got[0].Results[i]; fmt.Sprint(o.Key, " ", o.Attrs) != want {
			t.Errorf("member %d: %s %v", i, o.Key, o.Attrs)
		}
	}
	damaged := []byte(aggregated([3]string{"k", "", "one"}))
	damaged[8] ^= 1
	becomes(t, "deaggregate", "{}", string(damaged), "unchanged", "", "unchanged", strings.Repeat(aggregated([3]string{"k", "", "one"}), 2), "unchanged")
}

func TestJSONValuesOneAfterTheOtherAreRecords(t *testing.T) {
	becomes(t, "deaggregate", "format: json",
		`{"a":1}{"b":"}{"}`, `[{"a":1} {"b":"}{"}]`, " {\"a\":\n1}\n\n[2] \"x\"3 true\n", "[{\"a\":\n1} [2] \"x\" 3 true]", `{"a":1}`, `[{"a":1}]`,
		"", "dropped", " \n", "dropped",
		`{"a":1}{"a":2`, "deaggregate.not_json: value 2 of the record is not JSON: byte 13 does not belong there",
		`{"a":1},{"a":2}`, "deaggregate.not_json: value 2 of the record is not JSON: byte 7 does not belong there",
		`x`, "deaggregate.not_json: value 1 of the record is not JSON: byte 0 does not belong there",
		`"x`, "deaggregate.not_json: value 1 of the record is not JSON: byte 2 does not belong there")
}

func TestPiecesBetweenDelimitersAreRecords(t *testing.T) {
	becomes(t, "deaggregate", "format: delimited", "one\ntwo\n", "[one two]", "one", "[one]", "\n\n", "dropped", "", "dropped", "a\r\nb", "[a\r b]")
	becomes(t, "deaggregate", `{ format: delimited, delimiter: "||" }`, "a||b|c||||d", "[a b|c d]")
	refused(t, "deaggregate", map[string]string{
		`{ format: delimited, delimiter: "" }`: "1 to 1024", `{ delimiter: "|" }`: "no meaning with format: kpl", `format: none`: "format",
	})
}

func TestARecordOfTooManyFails(t *testing.T) {
	many := strings.Repeat("1 ", 100_001)
	members := make([][3]string, 100_001)
	for format, data := range map[string]string{"json": many, `delimited, delimiter: " "`: many, "kpl": aggregated(members...)} {
		becomes(t, "deaggregate", "{ format: "+format+" }", data, "deaggregate.too_many: the record holds more than 100000")
	}
}

func FuzzDeaggregate(f *testing.F) {
	f.Add([]byte(aggregated([3]string{"k1", "", "one"}, [3]string{"k2", "7", ""})))
	f.Add([]byte(`{"a":1}{"b":"}{"} 3 `))
	f.Add([]byte("a\n\nb"))
	kpl, values, lines := open(f, "deaggregate", "{}"), open(f, "deaggregate", "format: json"), open(f, "deaggregate", "format: delimited")
	f.Fuzz(func(t *testing.T, data []byte) {
		apply(t, kpl, string(data))
		apply(t, values, string(data))
		if got := apply(t, lines, string(data))[0].Outs; strings.Join(got, "") != strings.ReplaceAll(string(data), "\n", "") {
			t.Fatalf("%q becomes %q", data, got)
		}
	})
}

func BenchmarkDeaggregate(b *testing.B) {
	b.Run("kpl", func(b *testing.B) {
		measure(b, open(b, "deaggregate", "{}"), aggregated([3]string{"k", "", logLine}, [3]string{"l", "", logLine}, [3]string{"m", "", logLine}))
	})
	b.Run("json", func(b *testing.B) { measure(b, open(b, "deaggregate", "format: json"), logLine+logLine+logLine) })
	b.Run("delimited", func(b *testing.B) {
		measure(b, open(b, "deaggregate", "format: delimited"), logLine+"\n"+logLine+"\n"+logLine)
	})
}
