package lambda

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/internal/testenv"
)

// shell is a handler that is a shell script.
func shell(mode, script string) Config {
	c := defaults()
	c.Command, c.Mode, c.Workers = []string{"sh", "-c", script}, mode, 1
	return c
}

// ask applies tr to records without the chain.
func ask(tr *Transform, data ...string) (stage.Output, error) {
	var out stage.Output
	out.Reset()
	err := tr.Apply(context.Background(), batch(data...), &out)
	return out, err
}

func TestAProgramHasLittleOfLeatsEnvironmentAndRunsInThePipelinesFolder(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	leats := map[string]string{"PATH": "/bin", "HOME": "/home/x", "LANG": "C", "AWS_SECRET_ACCESS_KEY": "hunter2", "TOKEN": "t0"}
	lookup := func(name string) (string, bool) { v, ok := leats[name]; return v, ok }
	for _, mode := range []string{Stream, Once} {
		c := childConfig(mode)
		c.Env = append(c.Env, setting.SecretPair{Name: "B", Value: setting.EnvSecret("TOKEN", "", lookup)})
		tr := open(t, c, Env{Dir: dir, Lookup: lookup})
		got := show(apply(t, tr, "environment", "folder"))
		if want := "B=T0\nGORACE=ATEXIT_SLEEP_MS=0\nHOME=/HOME/X\nLANG=C\n" + asHandler + "=1\nPATH=/BIN"; got[0] != want {
			t.Errorf("%s: the environment is %q, want %q", mode, got[0], want)
		}
		if got[1] != strings.ToUpper(dir) {
			t.Errorf("%s: it runs in %q", mode, got[1])
		}
	}
	c := wasiConfig(t, Once)
	c.Env = setting.SecretPairs{{Name: "B", Value: setting.PlainSecret("1", "")}}
	if got := show(apply(t, open(t, c, Env{Lookup: lookup}), "environment"))[0]; got != "B=1\nHOME=/HOME/X\nLANG=C\nPATH=/BIN" {
		t.Errorf("the environment of a WASI program is %q", got)
	}
}

func TestOpeningWhatCannotRunSaysWhy(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plain"), []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "nonsense"), []byte("not a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command []string
		code    string
		words   []string
	}{
		{[]string{"no-such-program"}, CodeNoCommand, []string{"no-such-program", "not found", "PATH"}},
		{[]string{"./missing"}, CodeNoCommand, []string{"missing", "no such file", "relative to the pipeline file"}},
		{[]string{"./plain"}, CodeNoCommand, []string{"chmod +x"}},
		{[]string{"./"}, CodeNoCommand, []string{"it is a folder"}},
		{[]string{"./nonsense"}, CodeStartFailed, []string{"exec format error"}},
		{[]string{"python3 handler.py"}, CodeNoCommand, []string{"a command is a list: [python3, handler.py]"}},
		{[]string{"sh", "-c", "echo No module named boto3 >&2; exit 1"}, CodeStartFailed, []string{"exit status 1", "before it read an event", "No module named boto3", "run it by hand"}},
		{[]string{"sh", "-c", "exit 0"}, CodeStartFailed, []string{"exit status 0"}},
		{[]string{"sh", "-c", "sleep 0.5; echo No module named boto3 >&2; exit 1"}, CodeStartFailed, []string{"exit status 1", "No module named boto3"}},
		{[]string{"sh", "-c", "read x; echo loading the model; cat"}, CodeNotJSON, []string{`"loading the model`, "standard error"}},
	} {
		cfg := defaults()
		cfg.Command = c.command
		_, err := cfg.Open(context.Background(), Env{Dir: dir})
		if fault.CodeOf(err) != c.code {
			t.Errorf("%q: %v", c.command, err)
			continue
		}
		for _, w := range c.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %q does not say %q", c.command, err, w)
			}
		}
	}
	for _, c := range []struct {
		spoil func(*Config)
		words string
	}{
		{func(c *Config) { c.Env = setting.SecretPairs{{Name: "A=B"}} }, `"A=B" cannot be the name`},
		{func(c *Config) {
			c.Env = setting.SecretPairs{{Name: "A", Value: setting.EnvSecret("LEAT_NO_SUCH", "", nil)}}
		}, "LEAT_NO_SUCH is not set"},
		{func(c *Config) { c.Node = setting.At("p.yaml:1:1", map[string]string{"memory": "p.yaml:2:2"}) }, "p.yaml:2:2: memory is a setting of"},
	} {
		cfg := childConfig(Stream)
		c.spoil(&cfg)
		if _, err := cfg.Open(context.Background(), Env{}); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%v, want %q", err, c.words)
		}
	}
}

// A handler that stops working while the pipeline runs, as after a bad deployment, costs no record.
func TestAHandlerThatDoesNotStartAnyMoreBlamesNoRecord(t *testing.T) {
	for _, mode := range []string{Stream, Once} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			broken := filepath.Join(dir, "broken")
			// cat answers with the event itself, which is {"records": […]} with data and without results: unknown_result.
			cfg := shell(mode, "if test -e broken; then sleep 0.2; echo the disk is full >&2; exit 1; fi; if test $MODE = once; then exec cat; fi; read x; echo \"$x\"")
			cfg.Env, cfg.Retries = setting.SecretPairs{{Name: "MODE", Value: setting.PlainSecret(mode, "")}}, 1
			if mode == Stream {
				cfg.Workers = 1
			}
			tr := open(t, cfg, Env{Dir: dir})
			if got := show(apply(t, tr, "a")); got[0] != "!"+CodeUnknownResult {
				t.Fatal(got)
			}
			if err := os.WriteFile(broken, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := ask(tr, "a", "b", "c")
			if fault.CodeOf(err) != CodeStartFailed || fault.ClassOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "the disk is full") || len(out.Results) != 0 {
				t.Fatalf("%s: %v", mode, err)
			}
			tr.cfg.WhenUnavailable = Fail
			if out, err = ask(tr, "a", "b"); err != nil || len(out.Results) != 2 || out.Results[1].Code != CodeStartFailed {
				t.Fatalf("%s: %v, %+v", mode, err, out.Results)
			}
			tr.cfg.WhenUnavailable = Wait
			repair := func(err error) {
				if fault.CodeOf(err) != CodeStartFailed {
					t.Errorf("%s: %v", mode, err)
				}
				_ = os.Remove(broken)
			}
			if got := show(wait(t, tr, repair, "a")); got[0] != "!"+CodeUnknownResult {
				t.Errorf("%s: %v", mode, got)
			}
		})
	}
}

// answers is the beginning of a script whose handler gets past the event that a program is tried with.
const answers = `read x; echo '{"records":[]}'; `

func TestStrayOutputIsExplained(t *testing.T) {
	tr := open(t, shell(Stream, answers+`read x; echo loading the model; cat`), Env{})
	_, err := ask(tr, "a", "b")
	if fault.CodeOf(err) != CodeNotJSON || !strings.Contains(err.Error(), `"loading the model"`) || !strings.Contains(err.Error(), "standard error") {
		t.Errorf("%v", err)
	}
	// What is printed after a response makes the next event go to a new process, and is logged.
	var logged testenv.Log
	script := `while read x; do printf '{"records":[]}\nprinted too late\n'; done`
	tr = open(t, shell(Stream, script), Env{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	for range 3 {
		if out, err := ask(tr, "a"); err != nil || out.Results[0].Code != CodeRecordMissing {
			t.Fatalf("%v, %+v", err, out.Results)
		}
	}
	if got := logged.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "printed too late") {
		t.Errorf("the log has %s", got)
	}
}

func TestSecretsAreReadAnewForEachProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	for _, cfg := range []Config{childConfig(Once), wasiConfig(t, Once)} {
		cfg.Env = append(cfg.Env, setting.SecretPair{Name: "A_TOKEN", Value: setting.FileSecret(path, "")})
		tr := open(t, cfg, Env{})
		for _, token := range []string{"first", "second"} {
			write(token)
			if got := show(apply(t, tr, "environment"))[0]; !strings.Contains(got, "A_TOKEN="+strings.ToUpper(token)) {
				t.Errorf("the environment is %q", got)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := ask(tr, "a"); fault.ClassOf(err) != fault.Unauthorized {
			t.Errorf("without the secret: %v", err)
		}
		write("first")
	}
}

// Handlers that misuse their pipes, from their first event on or later, neither block the pipeline nor fill the memory.
func TestHostileProgramsAreEnded(t *testing.T) {
	large := strings.Repeat("x", 700<<10) // more than a pipe holds
	for _, c := range []struct {
		name, mode, script, code string
		late                     bool // it cannot be seen when the program is tried
	}{
		{"output without end, without a newline", Stream, "read x; exec cat /dev/zero", CodeResponseTooLarge, false},
		{"output without end", Once, "exec cat /dev/zero", CodeResponseTooLarge, false},
		{"errors without end", Stream, "cat /dev/zero >&2", CodeTimeout, false},
		{"nothing is read", Stream, "exec sleep 1000", CodeTimeout, false},
		{"nothing is read, once", Once, "exec sleep 1000", CodeTimeout, false},
		{"no signal but one ends it", Stream, "trap '' TERM INT HUP PIPE; while true; do sleep 1; done", CodeTimeout, false},
		{"the input is closed", Stream, "exec sleep 1000 <&-", CodeTimeout, false},
		{"the output is closed", Stream, "read x; exec sleep 1000 >&-", CodeExited, true},
		{"a part is read", Stream, "head -c 200 >/dev/null; exit 7", CodeExited, true},
		{"the response comes before the event is read", Stream, `sleep 1; echo '{"records":[]}'; exec sleep 1000`, CodeBadResponse, false},
		{"children stay behind", Once, "sleep 1000 & cat >/dev/null; exit 3", CodeExited, true},
		{"children stay behind where no signal finds them", Stream, "setsid sleep 3 & read x; exit 3", CodeExited, true},
		{"children stay behind where no signal finds them, once", Once, "setsid sleep 3 & cat >/dev/null; exit 3", CodeExited, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			floods := strings.Contains(c.script, "/dev/zero")
			if !floods { // those are measured, one at a time
				t.Parallel()
			}
			cfg := shell(c.mode, c.script)
			cfg.Timeout, cfg.Retries = setting.Duration(time.Minute), 0
			timeout := cfg.Timeout
			if c.code == CodeTimeout {
				timeout = setting.Duration(500 * time.Millisecond)
			}
			if !c.late {
				cfg := cfg
				cfg.Timeout = timeout
				if _, err := cfg.Open(context.Background(), Env{}); fault.CodeOf(err) != c.code || fault.ClassOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "tried with an event without records") {
					t.Errorf("when it is opened: %v", err)
				}
			}
			if cfg.Command[2] = answers + c.script; c.mode == Once {
				cfg.Command[2] = "if ! test -e tried; then touch tried; exec cat; fi; " + c.script
			}
			var restarts atomic.Int64
			tr := open(t, cfg, Env{Dir: t.TempDir(), Count: func(name string, n int64) { restarts.Add(n) }})
			tr.cfg.Timeout = timeout
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			_, err := ask(tr, large, "b")
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if fault.CodeOf(err) != c.code || fault.ClassOf(err) != fault.Permanent || took > 50*time.Second {
				t.Errorf("%v after %s", err, took)
			}
			if d, ok := err.(stage.Dear); !ok || d.Dear() != (c.code == CodeTimeout) {
				t.Errorf("%v is dear: %v", err, ok && d.Dear())
			}
			if c.mode == Stream && restarts.Load() != 1 {
				t.Errorf("%d restarts", restarts.Load())
			}
			if grown := int64(after.TotalAlloc - before.TotalAlloc); floods && grown > 40<<20 {
				t.Errorf("%d MiB allocated", grown>>20)
			}
		})
	}
}

// Handlers are killed again and again, in the middle of events and between them. Each record comes out once, in its place.
func TestKillingHandlersLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	var logged testenv.Log
	var restarts atomic.Int64
	tr := open(t, childConfig(Stream), Env{
		Logger: slog.New(slog.NewTextHandler(&logged, nil)), Count: func(name string, n int64) {
			if name == "restarts" {
				restarts.Add(n)
			}
		},
	})
	stop, killed := make(chan struct{}), 0
	pids := make(chan int, 100)
	var killer sync.WaitGroup
	seed := uint64(time.Now().UnixNano())
	killer.Go(func() {
		rnd := rand.New(rand.NewPCG(seed, 1))
		for {
			select {
			case pid := <-pids:
				time.Sleep(time.Duration(rnd.IntN(3000)) * time.Microsecond)
				if syscall.Kill(pid, syscall.SIGKILL) == nil {
					killed++
				}
			case <-stop:
				return
			}
		}
	})
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for round := range testenv.Count(60, 2000) {
				data := make([]string, 200)
				for i := range data {
					data[i] = fmt.Sprint("record ", round, " ", i)
				}
				data[100] = "pid"
				got := show(apply(t, tr, data...))
				for i := range data {
					if i == 100 {
						pid, err := strconv.Atoi(got[i])
						if err != nil {
							t.Errorf("seed %d: %q", seed, got[i])
							return
						}
						select {
						case pids <- pid:
						default:
						}
					} else if got[i] != strings.ToUpper(data[i]) {
						t.Errorf("seed %d: record %d is %q, want %q", seed, i, got[i], strings.ToUpper(data[i]))
						return
					}
				}
			}
		})
	}
	workers.Wait()
	close(stop)
	killer.Wait()
	if n := strings.Count(logged.String(), "\n"); n == 0 || n > 10 || killed < 5 || restarts.Load() < 5 {
		t.Errorf("%d kills, %d restarts, %d in the log", killed, restarts.Load(), n)
	}
}

func TestNoMoreProcessesRunThanWorkers(t *testing.T) {
	cfg := childConfig(Stream)
	cfg.Workers = 3
	tr := open(t, cfg, Env{})
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			for range 10 {
				pid := show(apply(t, tr, "pid"))[0]
				mu.Lock()
				seen[pid] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) > 3 {
		t.Errorf("%d processes", len(seen))
	}
}

func TestCancellationEndsAnEventAtOnce(t *testing.T) {
	t.Parallel()
	for _, tp := range transports[:4] {
		tr := open(t, tp.cfg(t), Env{})
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(200*time.Millisecond, cancel)
		var out stage.Output
		out.Reset()
		began := time.Now()
		if err := tr.Apply(ctx, batch("hang", "b"), &out); err != context.Canceled || time.Since(began) > 50*time.Second {
			t.Errorf("%s: %v after %s", tp.name, err, time.Since(began))
		}
	}
}
