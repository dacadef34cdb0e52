package lambda

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/internal/testenv"
)

// alive reports whether a process exists and is no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	return len(rest) > 0 && rest[0] != 'Z'
}

func waitGone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); alive(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d lives on", pid)
		}
	}
}

func needProc(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		testenv.Missing(t, "there is no /proc")
	}
}

func TestNothingThatAHandlerStartedOutlivesIt(t *testing.T) {
	needProc(t)
	for _, mode := range []string{Stream, Once} {
		dir := t.TempDir()
		cfg := shell(mode, `sleep 1000 & echo $! >> pids; if test -n "$STREAM"; then while read x; do echo '{"records":[]}'; done; else cat >/dev/null; echo '{"records":[]}'; fi`)
		if mode == Stream {
			cfg.Env = setting.SecretPairs{{Name: "STREAM", Value: setting.PlainSecret("1", "")}}
		}
		tr, err := cfg.Open(context.Background(), Env{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ask(tr, "a"); err != nil {
			t.Fatal(err)
		}
		if err := tr.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		pids, err := os.ReadFile(filepath.Join(dir, "pids"))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Fields(string(pids)) {
			pid, err := strconv.Atoi(line)
			if err != nil {
				t.Fatal(err)
			}
			waitGone(t, pid)
		}
	}
}

const asLeat = "LEAT_TEST_LAMBDA_LEAT"

// leat stands for a leat that is about to be killed: it runs handlers in dir that write their process ids there.
func leat(dir string) error {
	for _, script := range []string{
		"echo $$ > deaf; head -n 1; exec sleep 1000", // it never sees the end of its input
		`"$0"; true`, // it is not leat's own child that reads
		"trap '' TERM INT HUP; echo $$ > stubborn; head -n 1; read x;:", // it does see it
	} {
		cfg := childConfig(Stream)
		cfg.Workers, cfg.Command = 1, []string{"sh", "-c", script, os.Args[0]}
		tr, err := cfg.Open(context.Background(), Env{Dir: dir})
		if err != nil {
			return err
		}
		if !strings.Contains(script, "$0") {
			continue
		}
		out, err := ask(tr, "pid")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "behind"), out.Outs[0].Data, 0o600); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	select {}
}

func TestNoHandlerOutlivesLeatThatIsKilled(t *testing.T) {
	needProc(t)
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asLeat+"="+dir)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ready string
	if _, err := fmt.Fscan(stdout, &ready); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, name := range []string{"deaf", "behind", "stubborn"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || !alive(pid) {
			t.Fatalf("%s does not run: %v", name, err)
		}
		pids = append(pids, pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	for _, pid := range pids {
		waitGone(t, pid)
	}
}

func TestProcessesThatEndLeaveNothingOpen(t *testing.T) {
	needProc(t)
	open := func() int {
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	for _, mode := range []string{Stream, Once} {
		cfg := shell(mode, `read x; case $x in *'"records":[]'*) echo "$x";; *) echo bad >&2; exit 1;; esac`)
		cfg.Retries = 0
		tr, err := cfg.Open(context.Background(), Env{})
		if err != nil {
			t.Fatal(err)
		}
		before := open()
		for range 50 {
			if _, err := ask(tr, "a"); fault.CodeOf(err) != CodeExited {
				t.Fatalf("%s: %v", mode, err)
			}
		}
		if err := tr.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if after := open(); after > before {
			t.Errorf("%s: %d files are open, and were %d", mode, after, before)
		}
	}
}
