// Package deliverytest crashes deliveries and proves from the store alone that every record is in exactly one object.
//
// A [Schedule] is a random history: records of many partitions, some quiet; transforms that drop, fail, split and count
// records and are replaced between two crashes, as are compression levels and the destination; puts whose answer is lost
// or whose body breaks off; power failures at random steps. Which store is used is up to the caller, so that the same
// schedules run over memory and over a real object store.
package deliverytest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/delivery/internal/seams"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/vfs"
)

// Store is where objects go. It survives the crashes.
type Store interface {
	// Sink opens a sink whose objects are in a place of that name, apart from other places.
	Sink(place string) (delivery.Sink, error)
	// Open opens a sink again by its destination.
	Open(delivery.Destination) (delivery.Sink, error)
	// Objects returns all objects of a place, by key.
	Objects(place string) (map[string][]byte, error)
}

// Mutant is a seeded bug that a schedule must notice.
type Mutant string

// The mutants.
const (
	None              Mutant = ""
	CommitBeforePut   Mutant = "commit before put"
	PutBeforeManifest Mutant = "put before manifest"
	NoSpoolSync       Mutant = "no spool fsync"
	IgnoreCovered     Mutant = "covered set ignored"
)

func (m Mutant) seams() seams.Seams {
	return seams.Seams{
		CommitBeforePut: m == CommitBeforePut, PutBeforeManifest: m == PutBeforeManifest,
		NoSpoolSync: m == NoSpoolSync, IgnoreCovered: m == IgnoreCovered,
	}
}

// steps at which a schedule may crash.
var steps = []string{"collected", "spilled", "spooled", "sealed", "putting", "put", "committing", "committed"}

// Schedule runs one random history over store and returns what it proves wrong, or nil. The same seed makes the same
// history up to the timing of goroutines.
func Schedule(seed uint64, store Store, mutant Mutant) error {
	s := &schedule{
		rng: rand.New(rand.NewPCG(seed, 0x1ea7)), store: store, mutant: mutant,
		name: fmt.Sprintf("s%d-%d", seed, time.Now().UnixNano()), fs: vfs.NewMem(), input: newInput(seed),
	}
	rounds := 2 + s.rng.IntN(3)
	for round := range rounds {
		if err := s.round(round, round == rounds-1); err != nil {
			return fmt.Errorf("seed %d, round %d of %d: %w", seed, round+1, rounds, err)
		}
	}
	if err := s.check(); err != nil {
		return fmt.Errorf("seed %d, %d rounds: %w", seed, rounds, err)
	}
	return nil
}

type schedule struct {
	rng    *rand.Rand
	store  Store
	mutant Mutant
	name   string
	fs     *vfs.Mem
	input  *input

	versions []int // of the transform, one a round
}

// round runs a delivery until it crashes or, in the last round, until everything is delivered.
func (s *schedule) round(round int, last bool) error {
	log, err := disk.Open(s.fs, "/data/stream", disk.Options{Reserve: -1, FirstSegment: 256 << 10, SegmentSize: 1 << 20})
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	if round == 0 {
		if err := openShards(log); err != nil {
			return err
		}
	}
	st, err := state.Open(s.fs, "/data/state", state.Options{})
	if err != nil {
		return fmt.Errorf("open state: %w", err)
	}
	defer st.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	crash := s.crashPoint(last, cancel)
	cfg, err := s.config(round, last, log, st, crash)
	if err != nil {
		return err
	}
	d, err := delivery.New(ctx, cfg)
	if err != nil {
		return fmt.Errorf("new delivery: %w", err)
	}
	ran := make(chan error, 1)
	go func() { ran <- d.Run(ctx) }()
	s.input.produce(ctx, log, s.rng, 100+s.rng.IntN(400))
	if !last {
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(20+s.rng.IntN(100)) * time.Millisecond):
		}
		s.fs.Freeze()
		cancel()
		<-ran // with whatever error the power failure made
		s.fs = s.fs.Crash(s.rng, []int{0, 30, 70, 100}[s.rng.IntN(4)])
		return nil
	}
	drain, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	err = d.Drain(drain)
	if err == nil {
		err = ledgerHolds(st, cfg)
	}
	cancel()
	return errors.Join(err, <-ran)
}

// crashPoint returns a hook that loses power at a random step.
func (s *schedule) crashPoint(last bool, cancel context.CancelFunc) func(string) {
	step, count := steps[s.rng.IntN(len(steps))], 1+s.rng.IntN(6)
	if last {
		return nil
	}
	var mu sync.Mutex
	return func(at string) {
		mu.Lock()
		defer mu.Unlock()
		if at != step {
			return
		}
		if count--; count == 0 {
			s.fs.Freeze()
			cancel()
		}
	}
}

func (s *schedule) config(round int, last bool, log *disk.Log, st *state.Store, at func(string)) (delivery.Config, error) {
	version := s.rng.IntN(1000)
	s.versions = append(s.versions, version)
	level := 1 + s.rng.IntN(9)
	if s.input.big {
		level = min(level, 3) // the highest levels take seconds for its data
	}
	gz, err := codec.ByName("gzip", level)
	if err != nil {
		return delivery.Config{}, err
	}
	format, err := codec.FormatByName("json_lines")
	if err != nil {
		return delivery.Config{}, err
	}
	main, err := s.store.Sink(s.name + places[s.rng.IntN(len(places)-1)])
	if err != nil {
		return delivery.Config{}, err
	}
	dead, err := s.store.Sink(s.name + deadPlace)
	if err != nil {
		return delivery.Config{}, err
	}
	flaky := &flaky{rng: rand.New(rand.NewPCG(s.rng.Uint64(), 1)), off: last && s.mutant != None}
	cfg := delivery.Config{
		Pipeline: "p", Name: "sink",
		Source: delivery.Source{Name: "s", Incarnation: "i", Log: log},
		Chain:  stage.NewChain(stage.Link{Name: "t", Transform: &transform{version: version}}),
		Layout: layout{}, Format: format, Compression: gz,
		Sink: flaky.wrap(main),
		Open: func(d delivery.Destination) (delivery.Sink, error) {
			sink, err := s.store.Open(d)
			return flaky.wrap(sink), err
		},
		DeadLetters: delivery.DeadLetters{
			Sink: flaky.wrap(dead), Compression: gz,
			Prefix: func(errorType string, _ time.Time) (string, error) { return errorType + "/", nil },
		},
		BufferSize: delivery.MinBufferSize, BufferInterval: time.Duration(1+s.rng.IntN(60)) * time.Millisecond,
		Retry:  delivery.Retry{Initial: time.Millisecond, Max: 5 * time.Millisecond},
		Memory: []int64{64 << 10, 1 << 20, 0}[s.rng.IntN(3)], Covered: []int64{4 << 10, 0}[s.rng.IntN(2)],
		Grace: time.Second, FS: s.fs, Spool: "/data/spool", State: st, Seams: s.mutant.seams(),
	}
	if s.input.big {
		cfg.BufferSize = 8 << 20 // for multipart uploads
	}
	cfg.Seams.At = at
	return cfg, nil
}

// ledgerHolds audits the durable state of a delivery that is said to be complete.
func ledgerHolds(st *state.Store, cfg delivery.Config) error {
	id := delivery.ID{Pipeline: cfg.Pipeline, Sink: cfg.Name, Incarnation: cfg.Source.Incarnation}
	report, err := delivery.Audit(st, id, cfg.Source.Log.Shards(), cfg.FS, cfg.Spool)
	switch {
	case err != nil:
		return err
	case len(report.Problems) > 0:
		return fmt.Errorf("the ledger does not hold: %v", report.Problems)
	case report.Total.Pending > 0 || len(report.Unsent) > 0:
		return fmt.Errorf("after a drain %d records are pending and %d objects unsent", report.Total.Pending, len(report.Unsent))
	}
	return nil
}

// layout groups by the partition key p.
type layout struct{}

func (layout) Group(dst []byte, out *stage.Out) ([]byte, error) {
	p, ok := out.Partition.Get("p")
	if !ok {
		return dst, fault.New(fault.Permanent, "test.no_partition", "no partition")
	}
	return append(dst, p...), nil
}

func (layout) Prefix(group string, _ time.Time) (string, error) { return "p=" + group + "/", nil }

// flaky makes some puts fail: before they start, in the middle of the body, or after they took effect.
type flaky struct {
	mu  sync.Mutex
	rng *rand.Rand
	off bool
}

func (f *flaky) wrap(s delivery.Sink) delivery.Sink { return &flakySink{Sink: s, f: f} }

type flakySink struct {
	delivery.Sink
	f *flaky
}

// Destination is the wrapped sink's.
func (s *flakySink) Destination() delivery.Destination {
	return s.Sink.(delivery.Destiner).Destination()
}

// Start starts the wrapped sink.
func (s *flakySink) Start(ctx context.Context, pending func(string) bool) error {
	if starter, ok := s.Sink.(delivery.Starter); ok {
		return starter.Start(ctx, pending)
	}
	return nil
}

var errLost = fault.New(fault.Unavailable, "test.lost", "the connection is gone")

// Put fails once in four.
func (s *flakySink) Put(ctx context.Context, c *delivery.Chunk) error {
	s.f.mu.Lock()
	fate, cut := s.f.rng.IntN(12), s.f.rng.Int64N(c.Size+1)
	s.f.mu.Unlock()
	if s.f.off {
		fate = 12
	}
	switch fate {
	case 0:
		return errLost
	case 1:
		if err := s.Sink.Put(ctx, c); err != nil {
			return err
		}
		return errLost // the answer is swallowed
	case 2:
		broken := *c
		broken.Open = func() (delivery.Body, error) {
			b, err := c.Open()
			return &cutBody{Body: b, left: cut}, err
		}
		return errors.Join(s.Sink.Put(ctx, &broken), errLost)
	}
	return s.Sink.Put(ctx, c)
}

// cutBody breaks off after some bytes.
type cutBody struct {
	delivery.Body
	left int64
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLost
	}
	n, err := b.Body.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (b *cutBody) ReadAt(p []byte, off int64) (int, error) {
	if off >= b.left {
		return 0, errLost
	}
	return b.Body.ReadAt(p, off)
}
