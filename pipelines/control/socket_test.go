package control

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/leatstream/leat/core/fault"
)

func TestNobodyAnswersWhereNothingRuns(t *testing.T) {
	dir := t.TempDir()
	ask := func() {
		t.Helper()
		if err := look(t, dir, Request{Pipeline: "p"}).ended(); fault.CodeOf(err) != CodeNotRunning || fault.HintOf(err) == "" {
			t.Errorf("got %v", err)
		}
	}
	ask()
	s := serve(t, dir)
	info, err := os.Stat(socketPath(dir))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has the mode %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Dir(socketPath(dir))); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its folder has the mode %v, %v", info.Mode(), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	ask()
	if left, _ := os.ReadDir(filepath.Dir(socketPath(dir))); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// refused is a connection that the file system's permissions do not allow, which they allow whoever runs tests as root.
type refused struct{}

func (refused) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)}
}

func TestALeatOfAnotherUserIsNotSaidToBeMissing(t *testing.T) {
	c, err := Dial(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c.http.Transport = refused{}
	if _, err := c.Pipelines(t.Context()); fault.ClassOf(err) != fault.Unauthorized || fault.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
}

// A socket that a killed process left is replaced, be it there or elsewhere.
func TestASocketThatWasLeftIsReplaced(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), strings.Repeat("long", 30))} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		killed, err := listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(dir) > maxPath != (killed.temp != "") {
			t.Errorf("%s: the socket is in %q", dir, killed.temp)
		}
		killed.Listener.(*net.UnixListener).SetUnlinkOnClose(false)
		killed.Listener.Close() // as the kernel closes it
		if err := look(t, dir, Request{Pipeline: "p"}).ended(); fault.CodeOf(err) != CodeNotRunning {
			t.Errorf("%s: %v", dir, err)
		}
		s := serve(t, dir)
		v := version("one")
		s.Add("p").Starts(v)
		l := look(t, dir, Request{Pipeline: "p"})
		l.await("watching")
		pass(t, v, 0, "x")
		l.await("record 1 x ok X")
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := l.ended(); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), tempPrefix+"*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// What somebody else answers at the socket is an error, and not a surprise.
func TestAStrangeAnswerIsAnError(t *testing.T) {
	dir := t.TempDir()
	sock, err := listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/tap" {
			fmt.Fprintln(w, `{"event":"watching"}`)
			return
		}
		http.Error(w, "what?", http.StatusTeapot)
	})}
	go func() { _ = server.Serve(sock) }()
	if err := look(t, dir, Request{Pipeline: "p"}).ended(); fault.CodeOf(err) != CodeFailed || !strings.Contains(err.Error(), "ended without a word") {
		t.Errorf("got %v", err)
	}
	c, err := Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Pipelines(t.Context()); fault.CodeOf(err) != CodeFailed || !strings.Contains(err.Error(), "418") {
		t.Errorf("got %v", err)
	}
	_ = server.Close()
	if err := sock.Close(); err != nil {
		t.Error(err)
	}
}
