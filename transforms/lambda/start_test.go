package lambda

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
)

// A handler that keeps its responses in memory is told apart from one that hangs, when it is opened and, as it may change while leat runs,
// later, when it blames no record.
func TestAHandlerThatDoesNotFlushIsExplained(t *testing.T) {
	t.Parallel()
	python := testenv.Program(t, "python3", "apt-get install python3")
	config := func(script string) Config {
		c := defaults()
		c.Command, c.Mode, c.Workers = []string{python, "-c", script}, Stream, 1
		c.Timeout, c.Retries, c.WhenUnavailable = setting.Duration(slow+time.Second), 0, Fail
		return c
	}
	const loop = "import sys,json,os\nfor l in sys.stdin:\n  print(json.dumps({'records':[{'recordId':r['recordId'],'result':'Dropped'} for r in json.loads(l)['records']]})%s)\n"
	const tried = "import os,sys\nif not os.path.exists('tried'):\n  open('tried','w').close()\n  sys.exit(sys.stdin.readline() and 1)\n"
	flushes := open(t, config(fmt.Sprintf(loop, ",flush=True")), Env{})
	changes := open(t, config(tried+fmt.Sprintf(loop, "")), Env{Dir: t.TempDir()})
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() {
		if out, err := ask(flushes, "a"); err != nil || out.Results[0].Status != stage.Dropped {
			t.Errorf("%+v, %v", out.Results, err)
		}
		out, err := ask(changes, "a", "b", "c")
		if err != nil || len(out.Results) != 3 || out.Results[0].Code != CodeNotFlushed || out.Results[0].Class != fault.Unavailable {
			t.Errorf("%+v, %v", out.Results, err)
		}
	})
	for script, want := range map[string]string{
		fmt.Sprintf(loop, ""): CodeNotFlushed,
		"import sys,time\nsys.stdin.readline()\ntime.sleep(60)": CodeTimeout,
		"import time\ntime.sleep(60)":                           CodeTimeout,
	} {
		all.Go(func() {
			c := config(script)
			if want == CodeTimeout {
				c.Timeout = setting.Duration(500 * time.Millisecond)
			}
			var logged testenv.Log
			_, err := c.Open(context.Background(), Env{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
			for end := time.Now().Add(time.Minute); want == CodeNotFlushed && logged.Count("its first event") == 0; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Error("the log does not say early that the handler is slow to respond")
					break
				}
			}
			if fault.CodeOf(err) != want || want == CodeNotFlushed && !strings.Contains(err.Error(), "flush=True") {
				t.Errorf("%s: %v", script, err)
			}
		})
	}
}

// fed is a process that has taken so many bytes.
type fed struct {
	process
	bytes int64
}

func (f fed) taken() int64 { return f.bytes }

func TestAHandlerThatIsSlowToRespondIsToldApartFromOneThatIsSlowToStart(t *testing.T) {
	for p, want := range map[process]string{fed{}: "has not read its first event yet", fed{bytes: 1}: "flush=True"} {
		var logged testenv.Log
		(&stream{log: slog.New(slog.NewTextHandler(&logged, nil)), timeout: time.Minute}).hint(&run{process: p})
		if !strings.Contains(logged.String(), want) || !strings.Contains(logged.String(), "after=5s until=1m0s") {
			t.Errorf("%s, want %q", logged.String(), want)
		}
	}
}

// What a handler makes of an event without records, which Firehose never sends, is no reason not to use it.
func TestAHandlerNeedNotUnderstandAnEventWithoutRecords(t *testing.T) {
	const response = `echo '{"records":[]}'`
	for _, script := range []string{
		`case $x in *'"records":[]'*) exit 1;; esac`,
		`case $x in *'"records":[]'*) echo '{"errorMessage":"list index out of range"}'; continue;; esac`,
		`case $x in *'"records":[]'*) echo null; continue;; esac`,
	} {
		for _, mode := range []string{Stream, Once} {
			tr := open(t, shell(mode, `while read x; do `+script+`; `+response+`; done`), Env{})
			if out, err := ask(tr, "a"); err != nil || out.Results[0].Code != CodeRecordMissing {
				t.Errorf("%s, %s: %v, %+v", script, mode, err, out.Results)
			}
		}
	}
}

// A deployment that breaks the handler is told in full once, and in a line now and then; that it is over is told, too.
func TestFailuresThatRepeatAreFewLinesOfTheLog(t *testing.T) {
	for _, mode := range []string{Stream, Once} {
		dir := t.TempDir()
		var logged testenv.Log
		cfg := shell(mode, `if test -e broken; then echo Traceback $$ >&2; exit 1; fi; while read x; do echo working >&2; case $x in *Z2lmdA==*) echo poison $$ >&2; exit 1;; esac; echo '{"records":[]}'; done`)
		cfg.Retries, cfg.WhenUnavailable = 0, Fail
		tr := open(t, cfg, Env{Dir: dir, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
		log := func(text string) string { // until it tells of the text: what a handler prints beside its response may come after it
			for end := time.Now().Add(time.Minute); !strings.Contains(logged.String(), text) && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(50 * time.Millisecond)
			return logged.Take()
		}
		if got := log("working"); strings.Count(got, "\n") != 1 || !strings.Contains(got, "working") {
			t.Errorf("%s: what a handler prints when it is tried: %s", mode, got)
		}
		broken := filepath.Join(dir, "broken")
		if err := os.WriteFile(broken, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		failing, text := "", "Traceback"
		if w := tr.idle(); w != nil {
			w.kill()
			<-w.done()
			_, err := ask(tr, "a")
			text = ""
			if failing = log("Traceback"); err != nil || !strings.Contains(failing, "ended with signal: killed while it waited") {
				t.Errorf("%v: %s", err, failing)
			}
		}
		for range 20 {
			if _, err := ask(tr, "a", "b"); err != nil {
				t.Fatal(err)
			}
		}
		got := failing + log(text)
		if strings.Count(got, "Traceback") != 1 || strings.Count(got, "its records fail") != 1 || !strings.Contains(got, "exit status 1 before it read an event: Traceback") ||
			strings.Count(got, "\n") > 3 {
			t.Errorf("%s: 20 failures gave\n%s", mode, got)
		}
		if err := os.Remove(broken); err != nil {
			t.Fatal(err)
		}
		if _, err := ask(tr, "a"); err != nil {
			t.Fatal(err)
		}
		if got := log("working"); !strings.Contains(got, "can be asked again\" failures=2") || !strings.Contains(got, "working") || !strings.Contains(got, "lines_left_out=2") {
			t.Errorf("%s: after the repair: %s", mode, got)
		}
		// Poison, which is looked for in many events.
		data := make([]string, 100)
		data[70] = "gift"
		if got := show(apply(t, tr, data...)); got[70] != "!"+CodeExited || got[69] != "!"+CodeRecordMissing {
			t.Errorf("%s: %q", mode, got)
		}
		if got := log("failed an event"); strings.Count(got, "poison") > 1 || strings.Count(got, "failed an event") != 1 {
			t.Errorf("%s: a poison record gave\n%s", mode, got)
		}
	}
}

// idle is a process that waits, if there is one.
func (t *Transform) idle() *worker {
	if s, ok := t.handler.(*stream); ok && len(s.idle) > 0 {
		return s.idle[0]
	}
	return nil
}
