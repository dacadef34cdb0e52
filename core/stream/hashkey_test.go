package stream

import (
	"crypto/md5"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/leatstream/leat/core/fault"
)

func bigOf(k HashKey) *big.Int {
	n := new(big.Int).SetUint64(k.Hi)
	return n.Add(n.Lsh(n, 64), new(big.Int).SetUint64(k.Lo))
}

func keys() *rapid.Generator[HashKey] {
	word := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, ten19 - 1, ten19, ^uint64(0)}))
	return rapid.Custom(func(t *rapid.T) HashKey { return HashKey{word.Draw(t, "hi"), word.Draw(t, "lo")} })
}

func TestHashKeyIsTheBigEndianMD5(t *testing.T) {
	// md5("a") = 0cc175b9c0f1b6a831c399e269772661, md5("") = d41d8cd98f00b204e9800998ecf8427e.
	for key, want := range map[string]string{
		"a": "16955237001963240173058271559858726497",
		"":  "281949768489412648962353822266799178366",
	} {
		if got := HashOf(key).String(); got != want {
			t.Errorf("hash of %q is %s, want %s", key, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.String().Draw(t, "key")
		sum := md5.Sum([]byte(key))
		if got, want := HashOf(key).String(), new(big.Int).SetBytes(sum[:]).String(); got != want {
			t.Fatalf("hash of %q is %s, want %s", key, got, want)
		}
	})
}

func TestHashKeyTextIsDecimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := keys().Draw(t, "key")
		if got, want := k.String(), bigOf(k).String(); got != want {
			t.Fatalf("%#v is written %s, want %s", k, got, want)
		}
		back, err := ParseHashKey(k.String())
		if err != nil || back != k {
			t.Fatalf("%v read back is %v, %v", k, back, err)
		}
		if k.next().prev() != k {
			t.Fatalf("prev does not undo next at %v", k)
		}
		o := keys().Draw(t, "other")
		if got, want := k.Compare(o), bigOf(k).Cmp(bigOf(o)); got != want {
			t.Fatalf("%v against %v compares %d, want %d", k, o, got, want)
		}
	})
}

func TestHashKeyRefusesWhatIsNoneInKinesis(t *testing.T) {
	for _, s := range []string{
		"", "00", "01", "-1", "+1", "1 ", "0x1", "1e3", "a", "٣",
		"340282366920938463463374607431768211456",  // 2^128
		"999999999999999999999999999999999999999",  // 39 digits
		"1000000000000000000000000000000000000000", // 40 digits
	} {
		if k, err := ParseHashKey(s); fault.CodeOf(err) != "stream.invalid_hash_key" || fault.ClassOf(err) != fault.Permanent {
			t.Errorf("%q was read as %v, %v", s, k, err)
		}
	}
}

func TestUniformRanges(t *testing.T) {
	for n, want := range map[int][]string{
		1: {"0"},
		2: {"0", "170141183460469231731687303715884105728"},
		3: {"0", "113427455640312821154458202477256070485", "226854911280625642308916404954512140970"},
		4: {"0", "85070591730234615865843651857942052864", "170141183460469231731687303715884105728", "255211775190703847597530955573826158592"},
	} {
		for i, r := range UniformRanges(n) {
			if r.Start.String() != want[i] {
				t.Errorf("range %d of %d starts at %v, want %s", i, n, r.Start, want[i])
			}
		}
	}
	space := new(big.Int).Lsh(big.NewInt(1), 128)
	for _, n := range []int{1, 2, 3, 5, 6, 7, 8, 64, 100, 1000, 1024, 9999, MaxShards} {
		width := new(big.Int).Div(space, big.NewInt(int64(n)))
		ranges := UniformRanges(n)
		for i, r := range ranges {
			if start := new(big.Int).Mul(width, big.NewInt(int64(i))); bigOf(r.Start).Cmp(start) != 0 {
				t.Fatalf("range %d of %d starts at %v, want %v", i, n, r.Start, start)
			}
			if i > 0 && ranges[i-1].End.next() != r.Start {
				t.Fatalf("range %d of %d leaves a gap or overlaps", i, n)
			}
		}
		if ranges[n-1].End != MaxHashKey {
			t.Fatalf("the last of %d ranges ends at %v", n, ranges[n-1].End)
		}
	}
}

func TestRangesSplitAndMeetAsInKinesis(t *testing.T) {
	r := HashRange{HashKey{0, 10}, HashKey{0, 20}}
	for at, want := range map[HashKey]bool{
		{0, 9}: false, {0, 10}: false, {0, 11}: false, {0, 12}: true, {0, 19}: true, {0, 20}: false, {0, 21}: false, {1, 15}: false,
	} {
		if got := r.SplitsAt(at); got != want {
			t.Errorf("%v splits at %v: %v", r, at, got)
		}
	}
	if (HashRange{MaxHashKey, MaxHashKey}).SplitsAt(HashKey{0, 5}) {
		t.Error("the last key of the hash space splits at 5")
	}
	next := HashRange{HashKey{0, 21}, HashKey{0, 30}}
	if !r.Meets(next) || next.Meets(r) || r.Meets(HashRange{HashKey{0, 22}, HashKey{0, 30}}) {
		t.Errorf("%v and %v do not meet in that order alone", r, next)
	}
	if (HashRange{next.Start, MaxHashKey}).Meets(HashRange{HashKey{}, r.End}) {
		t.Error("the hash space meets itself at its end")
	}
}
