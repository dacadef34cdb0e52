package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plant is a stream in memory and what a pipeline on it needs.
type plant struct {
	t      *testing.T
	fs     *vfs.Mem
	log    *disk.Log
	state  *state.Store
	closed atomic.Int64
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{t: t, fs: vfs.NewMem()}
	var err error
	p.log, err = disk.Open(p.fs, "/log", disk.Options{Reserve: -1})
	p.must(err)
	t.Cleanup(func() { _ = p.log.Close() })
	p.must(p.log.Reshard(t.Context(), nil, []shardlog.Shard{{ID: 0}}))
	p.state, err = state.Open(p.fs, "/state", state.Options{})
	p.must(err)
	t.Cleanup(func() { _ = p.state.Close() })
	return p
}

func (p *plant) must(err error) {
	if err != nil {
		p.t.Helper()
		p.t.Fatal(err)
	}
}

func (p *plant) put(data ...string) {
	p.t.Helper()
	run := shardlog.Run{}
	for _, d := range data {
		run.Entries = append(run.Entries, shardlog.Entry{Key: "k", Data: []byte(d)})
	}
	_, err := p.log.Append(context.Background(), []shardlog.Run{run}, nil)
	p.must(err)
}

// to is a delivery to a sink, through a transform.
func (p *plant) to(name string, s *sink, t stage.Transform) delivery.Config {
	p.t.Helper()
	lines, err := codec.FormatByName("lines")
	p.must(err)
	plain, err := codec.ByName("none", 0)
	p.must(err)
	chain := stage.NewChain()
	if t != nil {
		chain = stage.NewChain(stage.Link{Name: "t", Transform: t, Policy: stage.Stop})
	}
	return delivery.Config{
		Pipeline: "p", Name: name, Source: delivery.Source{Name: "s", Incarnation: "i", Log: p.log},
		Chain: chain, Layout: flat{}, Format: lines, Compression: plain, Sink: s,
		DeadLetters: delivery.DeadLetters{Sink: &sink{}, Compression: plain,
			Prefix: func(string, time.Time) (string, error) { return "", nil }},
		BufferSize: delivery.MinBufferSize, BufferInterval: delivery.MaxBufferInterval,
		Retry: delivery.Retry{Initial: time.Millisecond, Max: time.Millisecond},
		FS:    p.fs, Spool: "/spool/" + name, State: p.state,
	}
}

func (p *plant) runner(feeders []Feeder, deliveries ...delivery.Config) *Runner {
	return New(Pipeline{Name: "p", Feeders: feeders, Deliveries: deliveries, Close: func(context.Context) error {
		p.closed.Add(1)
		return nil
	}}, slog.New(slog.DiscardHandler))
}

// run runs a pipeline beside the test; stop ends it and returns what Run does.
func run(t *testing.T, r *Runner) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- r.Run(ctx, false) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-result
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

type flat struct{}

func (flat) Group(dst []byte, _ *stage.Out) ([]byte, error) { return dst, nil }
func (flat) Prefix(string, time.Time) (string, error)       { return "", nil }

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

type funcFeeder func(ctx context.Context) error

func (f funcFeeder) Run(ctx context.Context) error { return f(ctx) }

// sink counts the lines that it gets.
type sink struct {
	down  atomic.Bool
	mu    sync.Mutex
	lines map[string]int
}

func (s *sink) Put(_ context.Context, c *delivery.Chunk) error {
	if s.down.Load() {
		return fault.New(fault.Unavailable, "test.down", "the sink is down")
	}
	body, err := c.Open()
	if err != nil {
		return err
	}
	p := make([]byte, c.Size)
	_, err = body.ReadAt(p, 0)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines == nil {
		s.lines = map[string]int{}
	}
	for line := range strings.Lines(string(p)) {
		s.lines[strings.TrimSuffix(line, "\n")]++
	}
	return errors.Join(err, body.Close())
}

func (s *sink) Close(context.Context) error { return nil }

// got is how many different lines there are.
func (s *sink) got() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)
}

// want checks that the sink has each line once, and no other.
func (s *sink) want(t *testing.T, lines ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range lines {
		if s.lines[line] != 1 {
			t.Errorf("%q was delivered %d times", line, s.lines[line])
		}
	}
	if len(s.lines) != len(lines) {
		t.Errorf("%d different lines, want %d", len(s.lines), len(lines))
	}
}

// flaky passes records on. It fails the first calls, or those with a certain record.
type flaky struct {
	left   atomic.Int64
	called atomic.Int64
}

func (f *flaky) Apply(_ context.Context, in *record.Batch, out *stage.Output) error {
	f.called.Add(1)
	if f.left.Add(-1) >= 0 {
		return fault.New(fault.Unavailable, "test.unavailable", "the transform is unavailable")
	}
	for i := range in.Records {
		res := stage.Result{Status: stage.Unchanged}
		if string(in.Records[i].Data) == "poison" {
			res = stage.Result{Status: stage.Failed, Class: fault.Permanent, Code: "test.poison", Reason: "poison"}
		}
		out.Results = append(out.Results, res)
	}
	return nil
}

func (*flaky) Close(context.Context) error { return nil }

func TestUntilIdleDeliversWhatTheFeedersBring(t *testing.T) {
	p, a, b := newPlant(t), &sink{}, &sink{}
	r := p.runner([]Feeder{funcFeeder(func(context.Context) error { p.put("1", "2"); return nil }),
		funcFeeder(func(context.Context) error { p.put("3"); return nil })}, p.to("a", a, nil), p.to("b", b, nil))
	p.must(r.Run(within(t, 2*time.Minute), true))
	a.want(t, "1", "2", "3")
	b.want(t, "1", "2", "3")
	if n := p.closed.Load(); n != 1 {
		t.Errorf("the pipeline was closed %d times", n)
	}
	for _, s := range r.Stats() {
		if s.Delivered != 3 || s.In != 3 || s.Objects != 1 {
			t.Errorf("%+v", s)
		}
	}
}

func TestADeliveryThatFailsForNowIsMadeAnew(t *testing.T) {
	p, s, f := newPlant(t), &sink{}, &flaky{}
	f.left.Store(3)
	p.put("1", "2")
	r := p.runner(nil, p.to("a", s, f))
	p.must(r.Run(within(t, 2*time.Minute), true)) // the drain goes on with each next delivery
	s.want(t, "1", "2")
	if n := f.called.Load(); n != 4 {
		t.Errorf("the transform was called %d times, want 4", n)
	}
	if st := r.Stats()[0]; st.Objects != 1 || st.Delivered != 2 {
		t.Errorf("%+v", st)
	}
}

func TestCountsOutliveADeliveryThatIsMadeAnew(t *testing.T) {
	p, s, f := newPlant(t), &sink{}, &flaky{}
	r := p.runner(nil, p.to("a", s, f))
	stop := run(t, r)
	for i := range 3 {
		p.put(fmt.Sprint(i))
		p.must(r.Drain(within(t, 2*time.Minute)))
		f.left.Store(1) // the next batch ends the delivery
	}
	f.left.Store(0)
	p.must(stop())
	s.want(t, "0", "1", "2")
	if st := r.Stats()[0]; st.Objects != 3 || st.Raw != 6 || st.Delivered != 3 || st.Err != nil {
		t.Errorf("%+v", st)
	}
}

func TestAPermanentFailureEndsThePipeline(t *testing.T) {
	p, s := newPlant(t), &sink{}
	p.put("fine", "poison")
	r := p.runner([]Feeder{funcFeeder(func(ctx context.Context) error { <-ctx.Done(); return nil })}, p.to("a", s, &flaky{}), p.to("b", s, nil))
	err := r.Run(within(t, 2*time.Minute), false)
	if fault.CodeOf(err) != stage.CodeStopped || fault.ClassOf(err) != fault.Permanent {
		t.Errorf("%v", err)
	}
	if n := p.closed.Load(); n != 1 {
		t.Errorf("the pipeline was closed %d times", n)
	}
}

func TestAFailedFeederEndsThePipeline(t *testing.T) {
	p := newPlant(t)
	broken := fmt.Errorf("read: %w", context.Canceled) // not ours, whatever it wraps
	r := p.runner([]Feeder{funcFeeder(func(context.Context) error { return broken })}, p.to("a", &sink{}, nil))
	if err := r.Run(within(t, 2*time.Minute), true); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestWhatAFeederCannotReadHoldsNothingBack(t *testing.T) {
	p, s := newPlant(t), &sink{}
	missing := errors.New("no such file")
	r := p.runner([]Feeder{
		funcFeeder(func(context.Context) error { p.put("1"); return Incomplete{missing} }),
		funcFeeder(func(context.Context) error { time.Sleep(10 * time.Millisecond); p.put("2"); return nil }),
	}, p.to("a", s, nil))
	if err := r.Run(within(t, 2*time.Minute), true); !errors.Is(err, missing) {
		t.Errorf("%v", err)
	}
	s.want(t, "1", "2")
}

func TestASinkThatIsDownTouchesNoOther(t *testing.T) {
	p, up, down := newPlant(t), &sink{}, &sink{}
	down.down.Store(true)
	p.put("1")
	r := p.runner(nil, p.to("down", down, nil), p.to("up", up, nil))
	stop := run(t, r)
	ctx, cancel := context.WithCancel(t.Context())
	drained := make(chan error, 1)
	go func() { drained <- r.Drain(ctx) }()
	for up.got() == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // in which the drain may not end
	cancel()
	if err := <-drained; !errors.Is(err, context.Canceled) {
		t.Errorf("the drain of a sink that is down: %v", err)
	}
	up.want(t, "1")
	down.down.Store(false)
	p.must(r.Drain(within(t, 2*time.Minute)))
	down.want(t, "1")
	p.must(stop())
}

func TestAStopLeavesOpenBuffersToTheNextRun(t *testing.T) {
	p, s, f := newPlant(t), &sink{}, &flaky{}
	p.put("1")
	stop := run(t, p.runner(nil, p.to("a", s, f)))
	for f.called.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	p.must(stop())
	s.want(t)
	p.must(p.runner(nil, p.to("a", s, nil)).Run(within(t, 2*time.Minute), true))
	s.want(t, "1")
}

func TestDrainFailsWithoutARunningPipeline(t *testing.T) {
	p := newPlant(t)
	r := p.runner(nil, p.to("a", &sink{}, nil))
	if err := r.Drain(within(t, 50*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("before Run: %v", err)
	}
	p.must(run(t, r)())
	done := make(chan error, 1)
	go func() { done <- r.Drain(context.Background()) }()
	select {
	case err := <-done:
		if !errors.Is(err, errEnded) {
			t.Errorf("after Run: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("a drain after Run never returns")
	}
}

func TestADrainDoesNotWaitForAFeederThatDoesNotStop(t *testing.T) {
	p, leave := newPlant(t), make(chan struct{})
	r := p.runner([]Feeder{funcFeeder(func(context.Context) error { <-leave; return nil })}, p.to("a", &sink{}, nil))
	stop := run(t, r)
	if err := r.Drain(within(t, 50*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	close(leave)
	p.must(stop())
}
