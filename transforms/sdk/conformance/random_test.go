package conformance

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/wasm"
	"github.com/leatstream/leat/transforms/wasm/build"
)

// randomText returns up to n characters of text that has what trips programs up.
func randomText(rng *rand.Rand, n int) string {
	const alphabet = "abcxyzABC012  =.,;\"\\{}[]:\n\t\x00äß€😀"
	runes := []rune(alphabet)
	var b strings.Builder
	for range rng.IntN(n + 1) {
		b.WriteRune(runes[rng.IntN(len(runes))])
	}
	return b.String()
}

func randomJSON(rng *rand.Rand, depth int) any {
	switch kind := rng.IntN(8); {
	case kind < 3 && depth > 0:
		object := map[string]any{}
		for range rng.IntN(4) {
			object[string(rune('a'+rng.IntN(3)))] = randomJSON(rng, depth-1)
		}
		return object
	case kind == 3 && depth > 0:
		list := make([]any, rng.IntN(3))
		for i := range list {
			list[i] = randomJSON(rng, depth-1)
		}
		return list
	case kind == 4:
		return rng.Int64() >> rng.IntN(64)
	case kind == 5:
		return rng.Float64()
	case kind == 6:
		return rng.IntN(2) == 0
	}
	return randomText(rng, 8)
}

// randomRecord returns a record for the guests.
func randomRecord(t *testing.T, rng *rand.Rand) string {
	words := []string{
		"upper", "drop", "fail", "emit", "key", "attrs", "partition", "count", "log", "whoami", "calls", "tail", "big", "longname", "get", "text", "int", "set", "", "upper",
	}
	word := words[rng.IntN(len(words))]
	switch word {
	case "emit":
		return fmt.Sprint("emit ", rng.IntN(20))
	case "big":
		return fmt.Sprint("big ", rng.IntN(3000))
	case "count":
		return fmt.Sprintf("count c%d %d", rng.IntN(3), rng.IntN(100))
	case "fail":
		return "fail some.code " + randomText(rng, 60)
	case "attrs", "partition":
		return word + " " + strings.NewReplacer("\n", "", "\t", "", " ", " n").Replace("n"+randomText(rng, 40)) // names are not empty
	case "get", "text", "int", "set":
		doc, err := json.Marshal(map[string]any{"a": randomJSON(rng, 3), "b": randomJSON(rng, 3)})
		if err != nil {
			t.Fatal(err)
		}
		path := []string{"a", "b", "a.b", "a.a", "b.c", "a.b.c", "c"}[rng.IntN(7)]
		if word == "set" {
			// Everywhere below an object: the SDK for Go makes missing objects on the way, which the others do not.
			return "set " + []string{"a", "b", "c", "d"}[rng.IntN(4)] + " " + []string{"1", `"x"`, "null", "[]"}[rng.IntN(4)] + " " + string(doc)
		}
		return word + " " + path + " " + string(doc)
	}
	return word + " " + randomText(rng, 200)
}

// brokenJSON returns a document in which some characters are missing or added.
func brokenJSON(t *testing.T, rng *rand.Rand) string {
	doc, err := json.Marshal(map[string]any{"a": randomJSON(rng, 3), "b": randomJSON(rng, 2)})
	if err != nil {
		t.Fatal(err)
	}
	runes, more := []rune(string(doc)), []rune(`{}[]",:\\u0d8a1- `)
	for range rng.IntN(4) {
		at := rng.IntN(len(runes))
		if rng.IntN(2) == 0 {
			runes = slices.Delete(runes, at, at+1)
		} else {
			runes = slices.Insert(runes, at, more[rng.IntN(len(more))])
		}
	}
	return string(runes[:len(runes)-rng.IntN(2)*rng.IntN(len(runes))])
}

// The helpers for JSON of these languages are no validators, but what they make of a broken document must not depend on what lies behind
// it in memory: that of Rust cannot read it. The data of another record does lie there.
func TestBrokenJSONIsReadTheSameWayInLanguagesThatDoNotRefuseIt(t *testing.T) {
	compare(t, []string{"rust", "c", "assemblyscript"}, func(rng *rand.Rand) *record.Batch {
		in := record.NewBatch()
		for range 200 {
			word := []string{"get", "text", "int", "set"}[rng.IntN(4)] + " " + []string{"a", "b", "a.b", "a.0", "b.c.a", "b.1.a", "c"}[rng.IntN(7)]
			if strings.HasPrefix(word, "set") {
				word += " 1"
			}
			in.Add(record.Record{Key: "k", Data: []byte(word + " " + brokenJSON(t, rng))})
		}
		return in
	})
}

func TestRandomBatchesBecomeTheSameInEveryLanguage(t *testing.T) {
	compare(t, languages, func(rng *rand.Rand) *record.Batch {
		in := record.NewBatch()
		for i := range rng.IntN(400) {
			r := record.Record{Shard: record.ShardID(rng.IntN(5)), Seq: rng.Uint64(), Arrived: rng.Int64(), Key: randomText(rng, 20), Data: []byte(randomRecord(t, rng))}
			for range rng.IntN(4) * (i & 1) {
				r.Attrs = append(r.Attrs, record.Attr{Name: randomText(rng, 10), Value: randomText(rng, 30)})
			}
			in.Add(r)
		}
		return in
	})
}

// compare passes random batches through the guests of several languages and expects the same of all.
func compare(t *testing.T, languages []string, random func(*rand.Rand) *record.Batch) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	modules := map[string]*wasm.Module{}
	for _, l := range languages {
		if _, err := build.Build(t.Context(), build.Config{Dir: "testdata/guests/" + l}); fault.CodeOf(err) == build.CodeNoToolchain {
			continue // the tests of each language say so
		}
		modules[l] = open(t, "guests/"+l, wasm.Config{Instances: 1, Config: json.RawMessage(`{"mode":"random"}`)})
	}
	if len(modules) < 2 {
		testenv.Missing(t, "there are compilers for %d of %d languages, and two are to be compared", len(modules), len(languages))
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	for round := range testenv.Count(20, 400) {
		in := random(rng)
		var first string
		var want []string
		for _, l := range languages {
			m := modules[l]
			if m == nil {
				continue
			}
			got := run(t, m, in)
			if want == nil {
				first, want = l, got
				continue
			}
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("seed %d, round %d, record %d: %q\n%s: %q\n%s: %q", seed, round, i, in.Records[i].Data, first, want[i], l, got[i])
				}
			}
		}
	}
}
