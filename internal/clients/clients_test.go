// Package clients uses leat through the clients that its users have: programs in their own languages, one folder each, that
// know nothing of leat but an endpoint. Each makes a stream, puts, reads back, reshards while it reads and writes, follows
// with registered consumers where it can, and deletes; it ends with an error as soon as anything is not as Kinesis has it.
//
// Versions are pinned by lock files. What they pin is installed below the user's cache folder, once.
package clients

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/testenv"
)

// patience is how long a client may take for everything; installing is not part of it.
const patience = 5 * time.Minute

func TestBoto3(t *testing.T) {
	wanted(t)
	python := venv(t, "boto3")
	run(t, "", nil, filepath.Join(python, "python"), "boto3/main.py", serve(t).url)
}

func TestCommandLine(t *testing.T) {
	wanted(t)
	testenv.Program(t, "bash", "apt-get install bash")
	path := venv(t, "cli") + string(os.PathListSeparator) + os.Getenv("PATH")
	run(t, "", []string{"PATH=" + path}, "bash", "cli/run.sh", serve(t).url)
}

func TestJavaScript(t *testing.T) {
	wanted(t)
	node := testenv.Program(t, "node", "apt-get install nodejs")
	npm := testenv.Program(t, "npm", "apt-get install npm")
	if exec.Command(node, "-e", "process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)").Run() != nil {
		testenv.Missing(t, "%s is older than version 20, which the SDK wants", node)
	}
	dir := installed(t, "javascript", func(dir string) {
		run(t, dir, nil, npm, "ci", "--silent", "--no-audit", "--no-fund")
	})
	run(t, dir, nil, node, "main.mjs", serve(t).url)
}

// wanted ends a test that is not asked for.
func wanted(t *testing.T) {
	t.Helper()
	testenv.Wanted(t, "LEAT_CLIENTS", "install the client below the user's cache folder and use leat with it")
}

// installed returns a copy of a client's folder in which install has been run once. It is another one as soon as any file
// of the client changes.
func installed(t *testing.T, client string, install func(dir string)) string {
	t.Helper()
	sum := sha256.New()
	files := os.DirFS(client)
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		fmt.Fprintf(sum, "%s %d %s", name, len(content), content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "leat", "clients", client+"-"+hex.EncodeToString(sum.Sum(nil)[:6]))
	done := filepath.Join(dir, "installed")
	if _, err := os.Stat(done); err == nil {
		return dir
	}
	if err := os.RemoveAll(dir); err != nil { // half of an installation
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	install(dir)
	t.Logf("installed %s in %.0f s", client, time.Since(began).Seconds())
	if err := os.WriteFile(done, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

// venv returns the folder of programs of a virtual environment with the client's requirements.
func venv(t *testing.T, client string) (bin string) {
	t.Helper()
	python := testenv.Program(t, "python3", "apt-get install python3")
	if err := exec.Command(python, "-c", "import venv, ensurepip").Run(); err != nil {
		testenv.Missing(t, "%s cannot make virtual environments (apt-get install python3-venv)", python)
	}
	dir := installed(t, client, func(dir string) {
		run(t, dir, nil, python, "-m", "venv", "venv")
		run(t, dir, nil, filepath.Join(dir, "venv", "bin", "pip"), "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", "requirements.txt")
	})
	return filepath.Join(dir, "venv", "bin")
}

// run runs a program in a folder, with variables besides those of the test, and fails with what it prints.
func run(t *testing.T, dir string, env []string, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") }), env...)
	cmd.WaitDelay = 10 * time.Second
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v after %.0f s\n%s", cmd, err, time.Since(began).Seconds(), out)
	}
	t.Logf("%s (%.1f s)\n%s", cmd, time.Since(began).Seconds(), out)
}

// server is a leat serve.
type server struct {
	url  string // without TLS
	data string
}

// serve builds leat and runs it as a user would, with the limits of shards on, until the test ends.
func serve(t *testing.T, flags ...string) *server {
	t.Helper()
	dir := t.TempDir()
	leat := filepath.Join(dir, "leat")
	run(t, "../..", nil, "go", "build", "-o", leat, "./cmd/leat")
	s := &server{data: filepath.Join(dir, "data")}
	addr := freeAddr(t)
	s.url = "http://" + addr
	pipelines := filepath.Join(dir, "pipelines")
	if err := os.Mkdir(pipelines, 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(leat, append([]string{"serve", "--addr", addr, "--data", s.data, "--pipelines", pipelines, "--metrics", ""}, flags...)...)
	background(t, cmd)
	await(t, addr)
	return s
}

// background runs a server until the test ends, when it is told to stop. What it says is shown if the test fails.
func background(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("%s has ended before it was told: %v", cmd, err)
		}
		select {
		case err := <-exited:
			if err != nil && !ended(err) {
				t.Errorf("%s: %v", cmd, err)
			}
		case <-time.After(time.Minute):
			t.Errorf("%s does not end within a minute after SIGTERM", cmd)
			_ = cmd.Process.Kill()
			<-exited
		}
		if t.Failed() {
			t.Logf("%s has said:\n%s", cmd, &said)
		}
	})
}

// ended reports whether a process has ended as those in Java do that are told to: with 128 + SIGTERM.
func ended(err error) bool {
	exit, ok := err.(*exec.ExitError)
	return ok && exit.ExitCode() == 128+int(syscall.SIGTERM)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// await waits until somebody answers at an address.
func await(t *testing.T, addr string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("nobody answers: %v", err)
		}
	}
}
