package observe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, c ServerConfig) *Server {
	t.Helper()
	s, err := NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		if err := errors.Join(s.Shutdown(t.Context()), <-done); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

func get(t *testing.T, s *Server, path, host string) (int, string) {
	t.Helper()
	r, err := http.NewRequest("GET", "http://"+s.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestHealthz(t *testing.T) {
	var health Health
	s := serve(t, ServerConfig{Addr: "127.0.0.1:0", Metrics: NewMetrics(), Health: &health})
	check := func(status int, want HealthReport) {
		t.Helper()
		got, body := get(t, s, "/healthz", "localhost")
		var report HealthReport
		if err := json.Unmarshal([]byte(body), &report); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		if got != status || report.Status != want.Status || len(report.Checks) != len(want.Checks) {
			t.Fatalf("status %d, %s; want %d, %+v", got, body, status, want)
		}
		for name, c := range want.Checks {
			if report.Checks[name] != c {
				t.Errorf("check %s: %+v, want %+v", name, report.Checks[name], c)
			}
		}
	}
	check(200, HealthReport{Status: "ok"})
	var broken error
	remove := health.Register("log birds", func() error { return broken })
	health.Register("state", func() error { return nil })
	check(200, HealthReport{"ok", map[string]CheckReport{"log birds": {Status: "ok"}, "state": {Status: "ok"}}})
	broken = errors.New("poisoned")
	check(503, HealthReport{"failing", map[string]CheckReport{"log birds": {"failing", "poisoned"}, "state": {Status: "ok"}}})
	removeMild := health.Register("file", func() error { return fmt.Errorf("a.yaml: %w", Degraded(errors.New("a typo"))) })
	mild := CheckReport{"degraded", "a.yaml: a typo"}
	check(503, HealthReport{"failing", map[string]CheckReport{"log birds": {"failing", "poisoned"}, "file": mild, "state": {Status: "ok"}}})
	remove()
	check(200, HealthReport{"degraded", map[string]CheckReport{"file": mild, "state": {Status: "ok"}}})
	removeMild()
	health.Register("file", func() error { return Degraded(nil) })
	check(200, HealthReport{"ok", map[string]CheckReport{"file": {Status: "ok"}, "state": {Status: "ok"}}})
}

func TestAnotherPathNamesThoseThereAre(t *testing.T) {
	s := serve(t, ServerConfig{Addr: "127.0.0.1:0", Health: &Health{}})
	for _, path := range []string{"/", "/metrics", "/healthz/x"} {
		if status, body := get(t, s, path, "localhost"); status != 404 || !strings.Contains(body, "/healthz  ") || strings.Contains(body, "/metrics") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	resp, err := http.Post("http://"+s.Addr().String()+"/healthz", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != 405 {
		t.Errorf("POST: %s", resp.Status)
	}
}

func TestHangingCheckFailsAndRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var health Health
		var runs atomic.Int32
		hang := make(chan error)
		health.Register("disk", func() error { runs.Add(1); return <-hang })
		health.Register("state", func() error { return nil })
		for range 3 {
			started := time.Now()
			report := health.Check()
			if took := time.Since(started); took != checkTimeout {
				t.Errorf("answer after %v, want %v", took, checkTimeout)
			}
			if report.Checks["disk"].Status != "failing" || report.Checks["state"].Status != "ok" {
				t.Errorf("report %+v", report)
			}
		}
		if n := runs.Load(); n != 1 {
			t.Errorf("%d runs of a check that hangs, want 1", n)
		}
		hang <- nil
		synctest.Wait()
		if report := health.Check(); report.Status != "ok" {
			t.Errorf("after it answered: %+v", report)
		}
	})
}

func TestServerKeepsToLoopback(t *testing.T) {
	s, err := NewServer(ServerConfig{Addr: "0.0.0.0:0"})
	if fault.CodeOf(err) != "listen.not_loopback" || !strings.Contains(fault.HintOf(err), "--metrics") {
		t.Errorf("%v, want a refusal that names the option", err)
	}
	if err == nil {
		s.Shutdown(t.Context())
	}
	if s, err = NewServer(ServerConfig{Addr: "0.0.0.0:0", Insecure: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestHostIsChecked(t *testing.T) {
	closed := serve(t, ServerConfig{Addr: "127.0.0.1:0", Metrics: NewMetrics(), Hosts: []string{"leat.test"}})
	open := serve(t, ServerConfig{Addr: "0.0.0.0:0", Insecure: true, Metrics: NewMetrics()})
	for _, test := range []struct {
		host         string
		closed, open int
	}{
		{"localhost", 200, 200},
		{"LOCALHOST:4568", 200, 200},
		{"localhost.", 200, 200},
		{"127.0.0.1:1", 200, 200},
		{"[::1]:4568", 200, 200},
		{"leat.test:80", 200, 421},
		{"192.0.2.1", 421, 200},
		{"evil.example", 421, 421},
		{"localhost.evil.example", 421, 421},
		{"127.0.0.1.evil.example", 421, 421},
	} {
		if got, _ := get(t, closed, "/metrics", test.host); got != test.closed {
			t.Errorf("loopback server asked for %s: %d, want %d", test.host, got, test.closed)
		}
		if got, _ := get(t, open, "/metrics", test.host); got != test.open {
			t.Errorf("open server asked for %s: %d, want %d", test.host, got, test.open)
		}
	}
	anyone := serve(t, ServerConfig{Addr: "127.0.0.1:0", Metrics: NewMetrics(), Hosts: []string{"*"}})
	if got, _ := get(t, anyone, "/metrics", "evil.example"); got != 200 {
		t.Errorf("a server for any name: %d, want 200", got)
	}
	if got, _ := get(t, closed, "/debug/pprof/", "localhost"); got != 404 {
		t.Errorf("another path: %d, want 404", got)
	}
}
