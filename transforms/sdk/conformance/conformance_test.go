// Package conformance holds the SDKs of all languages to one specification. testdata/guests has the same transform in each of them; the first
// word of a record says what it does. Every guest is built from its folder and runs in leat's host.
package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
	"github.com/leatstream/leat/transforms/wasm"
	"github.com/leatstream/leat/transforms/wasm/build"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var languages = []string{"go", "rust", "c", "assemblyscript"}

// path builds a guest of testdata, or finds it in the user's cache. Without its compiler the test ends.
func path(t testing.TB, guest string) string {
	t.Helper()
	p, err := build.Build(context.Background(), build.Config{Dir: filepath.Join("testdata", guest)})
	if fault.CodeOf(err) == build.CodeNoToolchain {
		testenv.Missing(t, "%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func open(t testing.TB, guest string, cfg wasm.Config) *wasm.Module {
	t.Helper()
	cfg.Path = path(t, guest)
	m, err := wasm.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

// each runs a test for every language.
func each(t *testing.T, fn func(t *testing.T, language string)) {
	for _, l := range languages {
		t.Run(l, func(t *testing.T) { fn(t, l) })
	}
}

func batch(data ...string) *record.Batch {
	b := record.NewBatch()
	for i, d := range data {
		r := record.Record{Shard: 2, Seq: uint64(1<<40 + i), Sub: uint32(i), Arrived: 1_700_000_000_000_000_007, Key: "ключ", Data: []byte(d)}
		if i%2 == 1 {
			r.Attrs = record.Attrs{{Name: "größe", Value: "10"}, {Name: "", Value: ""}, {Name: "c", Value: strings.Repeat("v", i)}}
		}
		b.Add(r)
	}
	return b
}

// run passes a batch through a chain of the module alone and shows what becomes of each record, in order.
func run(t testing.TB, m *wasm.Module, in *record.Batch) []string {
	t.Helper()
	var f stage.Final
	defer f.Release()
	chain := stage.NewChain(stage.Link{Name: "guest", Transform: m})
	var shown []string
	for done := false; !done; done = f.Left() == 0 {
		if err := chain.Run(context.Background(), in, &f); err != nil {
			t.Fatal(err)
		}
		for _, root := range f.Roots {
			if root.Fail != nil {
				shown = append(shown, fmt.Sprintf("failed %s: %s", root.Fail.Code, root.Fail.Reason))
				continue
			}
			var b strings.Builder
			for _, o := range f.Outs[root.First : root.First+root.N] {
				fmt.Fprintf(&b, "%s key=%s attrs=%v partition=%v\n", o.Data, o.Key, o.Attrs, o.Partition)
			}
			shown = append(shown, b.String())
		}
	}
	return shown
}

// attrs are those of the second of two records.
const attrs = "[{größe 10} { } {c v}]"

// same is what a record becomes that goes on as it came, the second of two.
func same(data string) string { return other(data, "") }

// other is an output with other data and the record's key and attributes.
func other(data, partition string) string {
	return data + " key=ключ attrs=" + attrs + " partition=[" + partition + "]\n"
}

var cases = []struct{ name, record, want string }{
	{"an unknown word", "nothing in particular", same("nothing in particular")},
	{"no data", "", same("")},
	{"new data", "upper äöü aA{z}", other("UPPER äöü AA{Z}", "")},
	{"a part of the data", "tail of the record", other("of the record", "")},
	{"no part of the data", "tail", other("", "")},
	{"dropped", "drop", ""},
	{"failed", "fail test.asked the record asked for ünicode", "failed test.asked: the record asked for ünicode"},
	{"failed without a code", "fail", "failed wasm.transform_failed: "},
	{"no output", "emit 0", ""},
	{"one output", "emit 1", other("0", "")},
	{"several outputs", "emit 4", other("0", "") + "1 key=key-1 attrs=" + attrs + " partition=[]\n" +
		"2 key=ключ attrs=[{n 2}] partition=[]\n" + "3 key=key-3 attrs=" + attrs + " partition=[{p 3} {q }]\n"},
	{"another key", "key schlüssel", "key schlüssel key=schlüssel attrs=" + attrs + " partition=[]\n"},
	{"an empty key", "key ", same("key ")},
	{"other attributes", "attrs a=1 b= ü=ä", "attrs a=1 b= ü=ä key=ключ attrs=[{a 1} {b } {ü ä}] partition=[]\n"},
	{"no attributes", "attrs", "attrs key=ключ attrs=[] partition=[]\n"},
	{"partition values", "partition region=eu day=1", other("partition region=eu day=1", "{region eu} {day 1}")},
	{"a name that is too long", "longname", "failed transform.bad_result: attributes or partition keys are too many, or a name is longer than 65,535 bytes"},
	{"who it is", "whoami", other("ключ|2|1099511627777|0|1700000000000000007|größe=10;=;c=v;|the \"mode\"", "")},
	{"more than 64 KiB", "big 100000", other(strings.Repeat("x", 100000), "")},

	{"a value in JSON", `get a {"b":1,"a":[1, 2]}`, other("[1, 2]", "")},
	{"a value far down", `get a.b.c  {"a" : {"x":{},"b":{"c": -1.5e3 }}}`, other("-1.5e3", "")},
	{"no such value", `get a.c {"a":{"b":1}}`, other("-", "")},
	{"a value within none", `get a.b {"a":"b"}`, other("-", "")},
	{"the last of equal keys", `get a {"a":1,"b":0,"a":2}`, other("2", "")},
	{"a key with escapes", `get äb {"\u00e4\u0062":true}`, other("true", "")},
	{"a text", `text a {"a":"x\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83d!"}`, other("x\"\\/\b\f\n\r\té😀\uFFFD!", "")},
	{"an empty text", `text a {"a":""}`, other("", "")},
	{"no text", `text a {"a":1}`, other("-", "")},
	{"the least integer", `int a {"a":-9223372036854775808}`, other("-9223372036854775808", "")},
	{"an integer that is too large", `int a {"a":9223372036854775808}`, other("-", "")},
	{"no integer", `int a {"a":1.5}`, other("-", "")},
	{"a changed value", `set a.b [2] {"a":{"b":1,"c":"}"}, "d":3}`, other(`{"a":{"b":[2],"c":"}"}, "d":3}`, "")},
	{"an added value", `set a.n "x" { "a" : { "b":1 } }`, other(`{ "a" : { "b":1,"n":"x" } }`, "")},
	{"the first value", `set n 1 {}`, other(`{"n":1}`, "")},
	{"a value in what is no object", `set a.b 1 {"a":[]}`, other("-", "")},
}

func TestEveryLanguageDoesTheSame(t *testing.T) {
	each(t, func(t *testing.T, language string) {
		m := open(t, "guests/"+language, wasm.Config{Config: json.RawMessage(`{"mode":"the \"mode\""}`), Instances: 1})
		for _, c := range cases {
			// The second of two, so that there is a record before it; its attributes are those of batch.
			if got := run(t, m, batch("upper", c.record)); got[1] != strings.ReplaceAll(c.want, "|0|17", "|1|17") {
				t.Errorf("%s: %.300q\nwant %.300q", c.name, got[1], c.want)
			}
		}
	})
}

func TestARecordThatTrapsFailsAloneWithItsWords(t *testing.T) {
	each(t, func(t *testing.T, language string) {
		m := open(t, "guests/"+language, wasm.Config{Instances: 1})
		data := make([]string, 100)
		for i := range data {
			data[i] = fmt.Sprint("upper ", i)
		}
		data[0], data[57], data[99] = "boom", "boom", "boom"
		for i, got := range run(t, m, batch(data...)) {
			if data[i] != "boom" {
				if want := strings.ToUpper(data[i]); !strings.HasPrefix(got, want+" ") {
					t.Errorf("record %d: %q, want %s", i, got, want)
				}
				continue
			}
			// The SDK for Go catches a panic itself; the others let the module trap.
			code := "wasm.trap"
			if language == "go" {
				code = "transform.panic"
			}
			if !strings.HasPrefix(got, "failed "+code+": ") || !strings.Contains(got, "boom") {
				t.Errorf("record %d: %q", i, got)
			}
		}
	})
}

func TestTheCursorNamesTheRecordOfATrap(t *testing.T) {
	each(t, func(t *testing.T, language string) {
		const most = 100_000_000
		m := open(t, "guests/"+language, wasm.Config{Fuel: wasm.Fuel{Base: most}})
		out := new(stage.Output)
		out.Reset()
		err := m.Apply(context.Background(), batch("a", "upper b", "emit 3", "spin", "c"), out)
		var culprit stage.Culprit
		if !errors.As(err, &culprit) || culprit.Record() != 3 {
			t.Errorf("%v", err)
		}
		if fuel, _ := m.Fuel(); fuel > 3*most/2 {
			t.Errorf("it took %d instructions: the records were tried one by one", fuel)
		}
	})
}

func TestStateStaysBetweenCalls(t *testing.T) {
	each(t, func(t *testing.T, language string) {
		m := open(t, "guests/"+language, wasm.Config{Instances: 1})
		for call := range 3 {
			got := run(t, m, batch("calls", "drop", "calls"))
			for i, want := range map[int]int{0: 3*call + 1, 2: 3*call + 3} {
				if !strings.HasPrefix(got[i], fmt.Sprint(want, " ")) {
					t.Errorf("call %d: %q, want %d", call, got[i], want)
				}
			}
		}
	})
}

func TestAConfigThatIsRefusedSaysWhy(t *testing.T) {
	each(t, func(t *testing.T, language string) {
		_, err := wasm.Open(context.Background(), wasm.Config{Path: path(t, "guests/"+language), Config: json.RawMessage(`{"mode":"x","refuse":"not tüsday"}`)})
		if fault.CodeOf(err) != wasm.CodeConfigRefused || !strings.Contains(err.Error(), "not tüsday") {
			t.Error(err)
		}
	})
}

func TestCountersAndLogLinesReachLeat(t *testing.T) {
	each(t, func(t *testing.T, language string) {
		var mu sync.Mutex
		var log bytes.Buffer
		counts := map[string]int64{}
		m := open(t, "guests/"+language, wasm.Config{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Count: func(name string, n int64) {
				mu.Lock()
				defer mu.Unlock()
				counts[name] += n
			},
		})
		run(t, m, batch("count größe 40", "count größe 2", "count other -1", "log länger als nötig"))
		if counts["größe"] != 42 || counts["other"] != -1 || len(counts) != 2 {
			t.Errorf("counters: %v", counts)
		}
		if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "länger als nötig") {
			t.Errorf("log: %s", log.String())
		}
	})
}

func TestBatchesOfEverySize(t *testing.T) {
	each(t, func(t *testing.T, language string) {
		m := open(t, "guests/"+language, wasm.Config{Instances: 1})
		for _, n := range []int{1, 499, 500, 501, 1300} {
			data := make([]string, n)
			for i := range data {
				data[i] = "upper " + strings.Repeat("x", i%1500)
			}
			for i, got := range run(t, m, batch(data...)) {
				if want := strings.ToUpper(data[i]); !strings.HasPrefix(got, want+" key=") {
					t.Fatalf("%d records, record %d: %.50q", n, i, got)
				}
			}
		}
		huge := "upper " + strings.Repeat("x", wasm.MaxRecordBytes-100)
		for range 2 { // memory that was needed once is used again
			got := run(t, m, batch("upper a", huge, "tail "+huge, "upper b"))
			if !strings.HasPrefix(got[0], "UPPER A ") || !strings.HasPrefix(got[1], strings.ToUpper(huge)+" key=") ||
				!strings.HasPrefix(got[2], huge+" key=") || !strings.HasPrefix(got[3], "UPPER B ") {
				t.Errorf("10 MiB: %.20q %.80q %.80q %.20q", got[0], got[1], got[2], got[3])
			}
		}
	})
}

func TestModulesHaveNoPathOfThisMachineInThem(t *testing.T) {
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, language string) {
		b, err := os.ReadFile(path(t, "guests/"+language))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{home + "/", dir, os.TempDir() + "/"} {
			if at := bytes.Index(b, []byte(p)); at >= 0 {
				t.Errorf("%q", b[max(0, at-40):min(len(b), at+100)])
			}
		}
	})
}

func TestABatchFunctionGetsAllRecordsOfACall(t *testing.T) {
	each(t, func(t *testing.T, language string) {
		m := open(t, "batch/"+language, wasm.Config{Instances: 1})
		data := make([]string, 450)
		for i := range data {
			data[i] = strings.Repeat("ä", i)
		}
		for range 3 {
			for i, got := range run(t, m, batch(data...)) {
				want := data[i]
				if i%3 != 2 {
					want = fmt.Sprintf("%d of 450: %s", i, data[i])
				}
				if !strings.HasPrefix(got, want+" key=ключ ") {
					t.Fatalf("record %d: %.80q, want %.80q", i, got, want)
				}
			}
		}
		data[123] = "boom"
		for i, got := range run(t, m, batch(data...)) {
			if failed := strings.HasPrefix(got, "failed wasm.trap: ") && strings.Contains(got, "boom"); failed != (i == 123) {
				t.Errorf("record %d: %.200q", i, got)
			}
		}
		want := `{"name":"batch"}`
		if language == "go" {
			want = "" // its SDK has no manifests
		}
		if manifest, err := m.Describe(context.Background()); string(manifest) != want || err != nil {
			t.Errorf("manifest: %q, %v", manifest, err)
		}
	})
}

func TestAGuestThatRunsWildFailsItsRecordAlone(t *testing.T) {
	each(t, func(t *testing.T, language string) {
		m := open(t, "guests/"+language, wasm.Config{Instances: 1, Fuel: wasm.Fuel{Base: 100_000_000}})
		for _, word := range []string{"spin", "recurse", "hoard"} {
			data := []string{"upper a", word, "upper b", "emit 1"}
			got := run(t, m, batch(data...))
			if !strings.HasPrefix(got[0], "UPPER A ") || !strings.HasPrefix(got[2], "UPPER B ") || !strings.HasPrefix(got[3], "0 ") {
				t.Errorf("%s: %.200q", word, got)
			}
			if !strings.HasPrefix(got[1], "failed wasm.") || strings.Contains(got[1], wasm.CodeTimeout) {
				t.Errorf("%s: %.200q", word, got[1])
			}
		}
	})
}

func TestARecordThatDoesNotFitFailsAndTheOthersGoOn(t *testing.T) {
	each(t, func(t *testing.T, language string) {
		// Go's runtime ends the module when there is no memory; the others answer leat_alloc with 0.
		code := wasm.CodeAllocRefused
		if language == "go" {
			code = wasm.CodeMemory
		}
		m := open(t, "guests/"+language, wasm.Config{Instances: 1, MemoryLimit: 8 << 20})
		for range 3 {
			got := run(t, m, batch("upper a", "upper "+strings.Repeat("x", 9<<20), "upper b", "tail "+strings.Repeat("y", 400<<10)))
			if !strings.HasPrefix(got[0], "UPPER A ") || !strings.HasPrefix(got[1], "failed "+code+": ") ||
				!strings.HasPrefix(got[2], "UPPER B ") || !strings.HasPrefix(got[3], "yyy") {
				t.Errorf("%.50q", got)
			}
		}
	})
}

// Go's runtime marks garbage beside the program, which in a module only runs while leat calls it: a cycle would go on for dozens of calls, each
// twice as dear. The host has it collect at once.
func TestGarbageOfGoIsCollectedWithinACall(t *testing.T) {
	m := open(t, "guests/go", wasm.Config{Instances: 1})
	in := record.NewBatch()
	for range 500 {
		in.Add(record.Record{Key: "k", Data: []byte("tail x")}) // only the keys are garbage
	}
	out := new(stage.Output)
	var costs []uint64
	for range 2000 {
		before, _ := m.Fuel()
		out.Reset()
		if err := m.Apply(t.Context(), in, out); err != nil {
			t.Fatal(err)
		}
		after, _ := m.Fuel()
		costs = append(costs, after-before)
	}
	usual := slices.Sorted(slices.Values(costs))[len(costs)/2]
	cycles, longest, long := 0, 0, 0
	for _, c := range costs {
		if long++; c < usual*5/4 {
			long = 0
		} else if long == 1 {
			cycles++
		}
		longest = max(longest, long)
	}
	if cycles == 0 || longest > 2 {
		t.Errorf("%d times calls cost more than usual, up to %d in a row", cycles, longest)
	}
}
