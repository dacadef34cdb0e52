package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"leat": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			// The caches of modules and of the go command, so that scripts do not build everything anew.
			cache, err := os.UserCacheDir()
			if err != nil {
				return err
			}
			env.Setenv("XDG_CACHE_HOME", cache)
			env.Setenv("HOME", os.Getenv("HOME"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": await, "fetch": fetch, "hangingstore": hangingStore, "freeport": freePort, "exits": exits, "sigterm": sigTerm, "kinesis": askKinesis,
		},
	})
}

// patience is how long scripts wait for what should happen at once.
const patience = time.Minute

// await PATTERN [TEXT] waits until a file matches the pattern and, if TEXT is given, contains it. With ! it waits until
// none does.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: await PATTERN [TEXT]")
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		names, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		found := false
		for _, name := range names {
			content, _ := os.ReadFile(name) // it may be a folder
			found = found || len(args) == 1 || strings.Contains(string(content), args[1])
		}
		if found != neg {
			return
		}
	}
	ts.Fatalf("nothing matches %q within %v", args, patience)
}

// fetch CODE URL TEXT asks until the answer has the status code and contains the text; with ! until it does not contain it.
func fetch(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: fetch CODE URL TEXT")
	}
	var last string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(args[1])
		if err != nil {
			last = err.Error()
			continue
		}
		body, err := io.ReadAll(resp.Body)
		ts.Check(err)
		ts.Check(resp.Body.Close())
		last = fmt.Sprintf("%d %s", resp.StatusCode, body)
		if strings.HasPrefix(last, args[0]+" ") && strings.Contains(last, args[2]) != neg {
			return
		}
	}
	ts.Fatalf("last answer: %s", last)
}

// hangingStore VARIABLE METHOD sets the variable to the address of an object store that lists nothing, lets uploads of parts begin and
// be aborted, and never answers requests of the method: PUT puts an object, POST begins an upload. When one comes it makes the file put.
func hangingStore(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: hangingstore VARIABLE METHOD")
	}
	began, hangs := ts.MkAbs("put"), args[1]
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case hangs:
			_ = os.WriteFile(began, nil, 0o666) // a script that waits for it in vain fails
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		case http.MethodGet:
			fmt.Fprint(w, "<ListMultipartUploadsResult></ListMultipartUploadsResult>")
		case http.MethodPost:
			fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
		case http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		}
	})}
	l := listen(ts, neg, args[:1])
	ts.Defer(func() { _ = server.Close() })
	go func() { _ = server.Serve(l) }()
}

// freePort VARIABLE sets the variable to an address nobody listens at.
func freePort(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(listen(ts, neg, args).Close())
}

func listen(ts *testscript.TestScript, neg bool, args []string) net.Listener {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport VARIABLE")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	return l
}

// sigTerm sends SIGTERM to the commands in the background that have not ended yet.
func sigTerm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: sigterm")
	}
	for _, cmd := range ts.BackgroundCmds() {
		if err := cmd.Process.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
			ts.Check(err)
		}
	}
}

// exits CODE COMMAND... checks the exit code of a command, and takes its output as exec does.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := err.(*exec.ExitError); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// helped are the commands that have a help page.
var helped = []string{
	"", "transform", "transform new", "transform build", "transform test", "transform bench", "transform help", "run", "serve", "validate", "test", "dry-run", "tap", "stream", "stream create", "stream list", "stream describe", "stream put",
	"audit", "log", "log verify", "log dump",
	"stream get", "stream split", "stream merge", "stream delete", "schema", "bench", "bench log", "bench pipeline", "bench kinesis", "bench transforms", "version",
}

func TestHelpPages(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "leat")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, bin); err != nil { // testscript.Main runs what it is called as
		t.Fatal(err)
	}
	for _, command := range helped {
		name := strings.ReplaceAll("leat "+command, " ", "-")
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(bin, append(strings.Fields(command), "--help")...)
			cmd.Env = append(os.Environ(), "COLUMNS=100")
			got, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if text := string(got); !strings.Contains(text, "Example") || command != "transform" && command != "stream" && command != "log" && command != "bench" && !strings.Contains(text, "Exit codes") {
				t.Errorf("a help page shows an example and the exit codes:\n%s", got)
			}
			golden := filepath.Join("testdata", "help", strings.TrimSuffix(name, "-")+".txt")
			if *update {
				if err := os.WriteFile(golden, got, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-update writes it anew): %s", golden, diff)
			}
		})
	}
}
