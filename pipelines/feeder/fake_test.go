package feeder

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type outcome int

const (
	stored      outcome = iota
	refused             // retryable, nothing stored
	throttled           // nothing stored
	unknown             // stored, but the caller gets an error
	crashBefore         // nothing stored, and nothing is from now on
	crashAfter          // stored, but nothing more is from now on
)

type stored1 struct{ key, data string }

// fakeStream keeps records and marks, atomically, and fails as it is told.
type fakeStream struct {
	mu      sync.Mutex
	records []stored1
	marks   map[string]shardlog.Mark
	puts    int
	largest int // records of one put
	plan    []outcome
	fail    func(entries []stream.Entry) error
	delay   time.Duration
	dead    bool
}

func newFake() *fakeStream { return &fakeStream{marks: make(map[string]shardlog.Mark)} }

func (s *fakeStream) PutMarked(_ context.Context, entries []stream.Entry, mark *shardlog.Mark) ([]stream.PutResult, error) {
	time.Sleep(s.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return nil, fault.New(fault.Unavailable, "test.dead", "crashed")
	}
	if s.fail != nil {
		if err := s.fail(entries); err != nil {
			return nil, err
		}
	}
	what := stored
	if len(s.plan) > 0 {
		what, s.plan = s.plan[0], s.plan[1:]
	}
	switch what {
	case refused:
		return nil, fault.New(fault.Retryable, "stream.full", "%w", shardlog.ErrFull)
	case throttled:
		return nil, fault.New(fault.Throttled, "stream.throughput_exceeded", "too fast")
	case crashBefore:
		s.dead = true
		return nil, errors.New("crashed before")
	}
	s.puts++
	s.largest = max(s.largest, len(entries))
	for _, e := range entries {
		s.records = append(s.records, stored1{string([]byte(e.Key)), string(e.Data)})
	}
	if mark != nil {
		s.marks[mark.Producer] = shardlog.Mark{Producer: mark.Producer, State: bytes.Clone(mark.State)}
	}
	switch what {
	case unknown:
		return nil, errors.New("the answer was lost")
	case crashAfter:
		s.dead = true
		return nil, errors.New("crashed after")
	}
	return make([]stream.PutResult, len(entries)), nil
}

func (s *fakeStream) Mark(producer string) (shardlog.Mark, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.marks[producer]
	return m, ok
}

// take returns the data stored since the last take.
func (s *fakeStream) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var data []string
	for _, r := range s.records {
		data = append(data, r.data)
	}
	s.records = nil
	return data
}

// inUse are the positions of the marks that are not free.
func (s *fakeStream) inUse(t testing.TB) map[string]position {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := make(map[string]position)
	for name, m := range s.marks {
		if len(m.State) > 0 {
			p, err := decodePosition(m.State)
			if err != nil {
				t.Fatal(err)
			}
			used[name] = p
		}
	}
	return used
}

// rig is a folder of files, a stream and a feeder between them, with a clock of its own.
type rig struct {
	t      *testing.T
	dir    string
	s      *fakeStream
	cfg    Config
	change func(*Feeder)

	f    *Feeder
	stop context.CancelFunc
	done chan error
	log  *testenv.Log
}

// inRig runs a test on a folder, with a feeder of all *.log files unless the test changes it.
func inRig(t *testing.T, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, dir: t.TempDir(), s: newFake(), log: new(testenv.Log)}
		r.cfg = Config{Name: "test", Inputs: []Input{{Paths: []string{filepath.Join(r.dir, "*.log")}}}}
		test(r)
		if r.f != nil {
			r.halt()
		}
	})
}

func (r *rig) start() {
	r.t.Helper()
	f, err := New(r.cfg, r.s, slog.New(slog.NewTextHandler(r.log, nil)))
	if err != nil {
		r.t.Fatal(err)
	}
	if r.change != nil {
		r.change(f)
	}
	ctx, stop := context.WithCancel(r.t.Context())
	r.f, r.stop, r.done = f, stop, make(chan error, 1)
	done := r.done
	go func() { done <- f.Run(ctx) }()
}

func (r *rig) halt() {
	r.t.Helper()
	r.stop()
	if err := <-r.done; err != nil {
		r.t.Errorf("Run: %v", err)
	}
	r.f = nil
}

// untilIdle runs a feeder until it is idle and returns what it stored.
func (r *rig) untilIdle() ([]string, error) {
	r.t.Helper()
	idle := r.cfg.UntilIdle
	r.cfg.UntilIdle = true
	r.start()
	r.cfg.UntilIdle = idle
	err := <-r.done
	r.stop()
	r.f = nil
	return r.s.take(), err
}

// wait lets the feeder's clock run.
func (r *rig) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(name, content string) {
	r.t.Helper()
	if err := os.WriteFile(r.path(name), []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) append(name, content string) {
	r.t.Helper()
	f, err := os.OpenFile(r.path(name), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err == nil {
		_, err = io.WriteString(f, content)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) rename(from, to string) {
	r.t.Helper()
	if err := os.Rename(r.path(from), r.path(to)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) remove(name string) {
	r.t.Helper()
	if err := os.Remove(r.path(name)); err != nil {
		r.t.Fatal(err)
	}
}

// want checks what was stored since the last look.
func (r *rig) want(lines ...string) {
	r.t.Helper()
	got := r.s.take()
	if !slices.Equal(got, lines) {
		r.t.Fatalf("stored %q, want %q", got, lines)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
