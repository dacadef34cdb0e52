package builtin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/record"
)

// kept is how many of n records are kept, and which.
func kept(t *testing.T, settings string, n int, data func(i int) string) (int, string) {
	t.Helper()
	var records []record.Record
	for i := range n {
		records = append(records, rec(record.ShardID(i%7), uint64(i), 0, data(i)))
	}
	fate := fates(t, open(t, "sample", settings), records...)
	return strings.Count(fate, "k"), fate
}

func TestThePartOfTheRecordsIsAsLargeAsItShouldBe(t *testing.T) {
	same := func(int) string { return `{"user":1}` }
	users := func(i int) string { return fmt.Sprintf(`{"user":%d}`, i) }
	for _, c := range []struct {
		settings string
		data     func(int) string
		low, hi  int
	}{
		{"rate: 0.1", same, 900, 1100}, {"rate: 10%", same, 900, 1100}, {`rate: "0.1"`, same, 900, 1100}, {"one_in: 10", same, 900, 1100}, {"rate: 1", same, 10_000, 10_000}, {"one_in: 1", same, 10_000, 10_000}, {"rate: 0", same, 0, 0},
		{"rate: 0.001", same, 2, 25}, {"{ rate: 0.1, by: .user }", users, 900, 1100}, {"{ rate: 0.5, by: .user }", same, 10_000, 10_000}, {"{ rate: 0.5, by: .user, seed: a }", same, 0, 0},
		{"{ rate: 0.5, by: .none }", users, 10_000, 10_000}, {"{ rate: 0.5, by: .none, missing: drop }", users, 0, 0},
		{`{ rate: 0, always: "user >= 9990" }`, users, 10, 10}, {"{ rate: 0.1, by: _data }", users, 900, 1100},
	} {
		if n, _ := kept(t, c.settings, 10_000, c.data); n < c.low || n > c.hi {
			t.Errorf("%s: %d are kept, want %d to %d", c.settings, n, c.low, c.hi)
		}
	}
}

func TestSamplesAreTheSameEveryTime(t *testing.T) {
	users := func(i int) string { return fmt.Sprintf(`{"user":%d}`, i%100) }
	_, first := kept(t, "rate: 0.3", 1000, users)
	if _, again := kept(t, "rate: 0.3", 1000, users); again != first {
		t.Error("another stage keeps others")
	}
	n, other := kept(t, "{ rate: 0.3, seed: x }", 1000, users)
	both := 0
	for i := range first {
		if first[i] == 'k' && other[i] == 'k' {
			both++
		}
	}
	if both < 50 || both > 130 || n < 200 {
		t.Errorf("two seeds share %d of 1000 records", both)
	}
	// What is kept at a rate is kept at a higher one, and a key is kept as a whole.
	_, more := kept(t, "{ rate: 0.5, by: .user }", 1000, users)
	_, less := kept(t, "{ rate: 0.2, by: .user }", 1000, users)
	for i := range less {
		if less[i] == 'k' && more[i] != 'k' || less[i] != less[i%100] {
			t.Fatalf("record %d", i)
		}
	}
	// Golden: other versions of leat keep the same.
	if want := "dkdddddkkkkdkdkdddkd"; first[:20] != want {
		t.Errorf("kept are %s, want %s", first[:20], want)
	}
}

func TestSamplesThatCannotBe(t *testing.T) {
	refused(t, "sample", map[string]string{
		"{}": "one of the keys rate, one_in", "{ rate: 0.1, one_in: 10 }": "only one", "rate: 1.5": `"1.5" is not a share`, "rate: -0.1": "is not a share", "rate: tenth": "a number from 0 to 1 such as 0.5", "rate: 10": "a percentage",
		"rate: .nan": "a number", "{ rate: 0.1, by: user }": "names no part", "{ rate: 0.1, always: 'x ==' }": "always: unexpected token",
	})
	becomes(t, "sample", "{ rate: 0.5, by: .a, missing: fail }", "{}", "sample.no_key: .a is missing or null", "x", "sample.not_json: the record is not one JSON value: byte 0 does not belong there")
}

func BenchmarkSample(b *testing.B) {
	b.Run("record", func(b *testing.B) { measure(b, open(b, "sample", "rate: 0.1"), logLine) })
	b.Run("path", func(b *testing.B) { measure(b, open(b, "sample", "{ rate: 0.1, by: .user.id }"), logLine) })
}
