package lambda

import (
	"fmt"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/stage"
)

// What an event that failed comes after is done, and is not asked for again.
func TestEventsBeforeOneThatFailsCount(t *testing.T) {
	cfg := childConfig(Stream)
	cfg.Buffer = 200 << 10
	tr := open(t, cfg, Env{})
	data := make([]string, 40)
	for i := range data {
		data[i] = fmt.Sprint(i, strings.Repeat("x", 19<<10)) // ten an event
	}
	data[35] = "exit"
	out, err := ask(tr, data...)
	partial, ok := err.(stage.Partial)
	if !ok || partial.Done() != 30 || len(out.Results) != 30 || len(out.Outs) != 30 {
		t.Fatalf("%v, %d results", err, len(out.Results))
	}
	for i, got := range show(apply(t, tr, data...)) {
		if i == 35 && got != "!"+CodeExited || i != 35 && got != strings.ToUpper(data[i]) {
			t.Errorf("record %d is %.20q", i, got)
		}
	}
}

// A handler that breaks after some records, through no fault of theirs, fails none.
func TestARecordIsNotBlamedForWhatOthersLeftBehind(t *testing.T) {
	// Its third event is too much for it.
	cfg := shell(Stream, `n=0; while read x; do n=$((n+1)); if test $n = 3; then echo worn out >&2; exit 1; fi; echo '{"records":[]}'; done`)
	cfg.Retries = 0
	tr := open(t, cfg, Env{})
	for i := range 10 {
		f := apply(t, tr, fmt.Sprint(i))
		if got := show(f); got[0] != "!"+CodeRecordMissing { // the handler answers, and with nothing
			t.Errorf("record %d: %v: %+v", i, got, f.Roots[0].Fail)
		}
	}
}

func TestAFreshCallMeetsAFreshProcess(t *testing.T) {
	cfg := childConfig(Stream)
	cfg.Workers = 1
	tr := open(t, cfg, Env{})
	first := show(apply(t, tr, "pid"))
	if again := show(apply(t, tr, "pid")); again[0] != first[0] {
		t.Fatal("the process is not kept")
	}
	var out stage.Output
	out.Reset()
	if err := tr.Apply(stage.WithFresh(t.Context()), batch("pid"), &out); err != nil {
		t.Fatal(err)
	}
	if fresh := string(out.Outs[0].Data); fresh == first[0] {
		t.Error("the process has seen other records")
	}
}
