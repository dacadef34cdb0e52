package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat/core/delivery/internal/seams"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/state"
)

// Delivery carries records from one stream to one sink. Its life: New, Run once, and during Run any number of Drain and
// Stats. The sinks and the chain belong to the caller, who closes them after Run has returned.
type Delivery struct {
	cfg    Config
	prefix string // of the keys in core/state
	log    *slog.Logger
	spool  *spool

	mu      sync.Mutex // guards tracker
	tracker *tracker

	skip   map[record.ShardID]*skipSet // what the reader passes over; the reader owns it
	sealed []*manifest                 // sealed before this run

	order  chan *job       // batches in log order, to the collector
	work   chan *job       // the same batches, to the workers
	press  chan *block     // blocks to compress
	seals  chan *component // buffers to seal
	puts   chan *manifest
	ends   chan outcome // outcomes to commit
	drains chan *drain

	complaints fault.Complaints
	backlog    backlog
	revival    revival
	opened     sinks
	totals     totals
	held       atomic.Int64 // bytes of buffers in memory
	waits      sync.WaitGroup
	seams      *seams.Seams

	failed  chan struct{} // closed with the first error
	ended   chan struct{} // closed when Run returns
	failure error
	once    sync.Once
}

// totals are the counts of a run that are not part of the ledger.
type totals struct {
	objects, raw, stored, retries atomic.Int64
	lastError                     atomic.Pointer[string]
}

// Stats is a delivery's present state.
type Stats struct {
	Counts
	// Objects, Raw and Stored count what was delivered since the delivery was made: objects, and their bytes before and
	// after compression.
	Objects, Raw, Stored int64
	// Retries counts puts that failed and were or will be tried again.
	Retries int64
	// Unsent counts sealed objects whose put has not succeeded.
	Unsent int64
	// LastError is the newest error of a put; empty after none.
	LastError string
}

// New makes a delivery ready from what is durable: it decides where to begin on a stream it has never read, and takes up
// the objects that were sealed but not committed.
func New(ctx context.Context, cfg Config) (*Delivery, error) {
	cfg.setDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	d := &Delivery{
		cfg: cfg, prefix: keyPrefix(cfg.Pipeline, cfg.Name, cfg.Source.Incarnation),
		log: cfg.Logger.With("pipeline", cfg.Pipeline, "sink", cfg.Name), failed: make(chan struct{}), ended: make(chan struct{}), drains: make(chan *drain),
	}
	d.opened.init(&d.cfg)
	d.seams = &d.cfg.Seams
	have, err := load(cfg.State, d.prefix)
	if err != nil {
		return nil, err
	}
	if have.start == nil {
		if have.start, err = d.begin(ctx); err != nil {
			return nil, err
		}
	}
	d.tracker = newTracker(d.prefix, have)
	if lost := d.tracker.behind(have.pending, cfg.Source.Log.Shards()); len(lost) > 0 {
		return nil, fault.New(fault.Permanent, "delivery.log_behind", "delivery %s/%s: stream %s is not what was delivered: %s",
			cfg.Pipeline, cfg.Name, cfg.Source.Name, strings.Join(lost, "; ")).
			WithHint("its log has lost its end or comes from a backup; run leat log verify, and restore log and state together")
	}
	d.skip = skipSets(d.tracker, have.pending, cfg.Seams.IgnoreCovered)
	for _, m := range have.pending {
		d.sealed = append(d.sealed, m)
	}
	slices.SortFunc(d.sealed, func(a, b *manifest) int { return strings.Compare(a.ID, b.ID) }) // the oldest first
	if d.spool, err = openSpool(cfg.FS, cfg.Spool, have.pending, cfg.Seams.NoSpoolSync); err != nil {
		return nil, err
	}
	d.cleanUp(ctx, func(id string) bool { return have.pending[id] != nil })
	d.pin()
	return d, nil
}

// cleanUpTime bounds how long the sinks may look for what puts that were cut off have left: a store that takes connections and does
// not answer must not keep records from being collected.
const cleanUpTime = 30 * time.Second

func (d *Delivery) cleanUp(ctx context.Context, pending func(id string) bool) {
	within, cancel := context.WithTimeout(ctx, cleanUpTime)
	defer cancel()
	for _, s := range []Sink{d.cfg.Sink, d.cfg.DeadLetters.Sink} {
		if starter, ok := s.(Starter); ok {
			if err := starter.Start(within, pending); err != nil && ctx.Err() == nil {
				d.log.Warn("could not look for unfinished objects at the destination", "class", fault.ClassOf(err), "code", fault.CodeOf(err), "error", err)
			}
		}
	}
}

// begin decides, durably, where the delivery starts.
func (d *Delivery) begin(ctx context.Context) (*startRecord, error) {
	s := &startRecord{Stream: d.cfg.Source.Name, At: time.Now().UTC(), Shards: map[record.ShardID]uint64{}}
	for _, shard := range d.cfg.Source.Log.Shards() {
		at := shard.TrimHorizon
		switch {
		case d.cfg.From.Latest:
			at = shard.Next
		case !d.cfg.From.At.IsZero():
			var err error
			if at, err = d.cfg.Source.Log.SeekTime(ctx, shard.ID, d.cfg.From.At); err != nil {
				return nil, fault.New(fault.ClassOf(err), "delivery.seek_failed", "find where to start in %s of stream %s: %w",
					shard.ID, d.cfg.Source.Name, err)
			}
		}
		s.Shards[shard.ID] = at
	}
	err := d.cfg.State.Update(ctx, func(tx *state.Tx) error {
		p, err := json.Marshal(s)
		if err != nil {
			return err
		}
		tx.Put(d.prefix+"start", p)
		for id, at := range s.Shards {
			r := shardRecord{start: at, checkpoint: at}
			tx.Put(shardKey(d.prefix, id), r.encode())
		}
		return nil
	})
	if err != nil {
		return nil, fault.New(fault.ClassOf(err), "delivery.state_failed", "store where the delivery starts: %w", err)
	}
	return s, nil
}

// Run delivers until ctx is done, then lets the puts under way end, up to the grace time, and returns nil. Buffers that
// are open then are left to the log. An error means that this Delivery cannot go on; unless its class is Permanent, a
// new one made from the same configuration can.
func (d *Delivery) Run(ctx context.Context) error {
	defer close(d.ended)
	run, stop := context.WithCancel(ctx)
	defer stop()
	d.order = make(chan *job, 2*d.cfg.Workers)
	d.work = make(chan *job, 2*d.cfg.Workers)
	d.press = make(chan *block, 4*d.cfg.Workers)
	d.seals = make(chan *component)
	d.puts = make(chan *manifest, maxPending)
	d.ends = make(chan outcome, maxPending)
	d.backlog.init()
	d.backlog.covered.Store(d.tracker.size())
	for _, m := range d.sealed {
		m.epoch = d.backlog.add(m.Size)
		d.backlog.promised.Add(m.covers.size())
	}

	// Each group of goroutines ends when the channel it reads is closed, and then closes the one it writes: what has been
	// sealed is put, and what has been put is committed, before Run returns.
	var readers, workers, pressers, collector, sealers, putters, committer sync.WaitGroup
	spawn(&readers, 1, func() { d.read(run) })
	spawn(&workers, d.cfg.Workers, func() { d.transform(run) })
	spawn(&pressers, d.cfg.Workers, d.compress)
	spawn(&collector, 1, func() { d.collect(run) })
	spawn(&sealers, 2, d.seal)
	puts, cancelPuts := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelPuts()
	spawn(&putters, d.cfg.Uploads, func() { d.put(run, puts) })
	spawn(&committer, 1, d.commit)
	recovered := make(chan struct{})
	go func() {
		defer close(recovered)
		for _, m := range d.sealed {
			select {
			case d.puts <- m:
			case <-run.Done():
				return
			}
		}
	}()

	select {
	case <-ctx.Done():
	case <-d.failed:
	}
	stop()
	grace := time.AfterFunc(d.cfg.Grace, cancelPuts)
	defer grace.Stop()
	select {
	case <-d.failed:
		cancelPuts()
	default:
	}
	readers.Wait()
	close(d.work)
	close(d.order)
	workers.Wait()
	collector.Wait()
	close(d.seals)
	sealers.Wait()
	close(d.press)
	pressers.Wait()
	<-recovered
	close(d.puts)
	putters.Wait()
	close(d.ends)
	committer.Wait()
	d.waits.Wait()
	d.opened.close(ctx)
	select {
	case <-d.failed:
		return d.failure
	default:
		return nil
	}
}

func spawn(wg *sync.WaitGroup, n int, f func()) {
	for range n {
		wg.Go(f)
	}
}

// fail ends Run with err.
func (d *Delivery) fail(err error) {
	d.once.Do(func() {
		d.failure = err
		close(d.failed)
	})
}

func (d *Delivery) broken() bool {
	select {
	case <-d.failed:
		return true
	default:
		return false
	}
}

// drain is a request to deliver everything up to the log's present end.
type drain struct{ done chan struct{} }

// Drain reads to the end of the log, seals all buffers whatever their size and age, and returns when what it has read is
// committed. It fails when ctx is done before, or when the delivery ends. Records that keep arriving may be left behind,
// but while they come faster than they can be read the end of the log is not reached, and Drain does not return.
func (d *Delivery) Drain(ctx context.Context) error {
	req := &drain{done: make(chan struct{})}
	select {
	case d.drains <- req:
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ended:
		return d.undrained()
	}
	select {
	case <-req.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ended:
		return d.undrained()
	}
}

func (d *Delivery) undrained() error {
	if d.broken() {
		return d.failure
	}
	return context.Canceled
}

// Ledger returns the delivery's present ledger, by shard.
func (d *Delivery) Ledger() []ShardLedger {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tracker.ledger(d.cfg.Source.Log.Shards())
}

// Stats sums the ledger and adds what the run counts.
func (d *Delivery) Stats() Stats {
	s := Stats{
		Objects: d.totals.objects.Load(), Raw: d.totals.raw.Load(), Stored: d.totals.stored.Load(),
		Retries: d.totals.retries.Load(), Unsent: d.backlog.objects.Load(),
	}
	if msg := d.totals.lastError.Load(); msg != nil {
		s.LastError = *msg
	}
	for _, l := range d.Ledger() {
		s.Add(l.Counts)
	}
	return s
}

// pin tells the log from where on it is still needed.
func (d *Delivery) pin() {
	d.mu.Lock()
	at := d.tracker.checkpoints()
	d.mu.Unlock()
	d.cfg.Source.Log.Pin(PinOwner(d.cfg.Pipeline, d.cfg.Name), at)
}

// PinOwner is the name under which a delivery pins its stream's log.
func PinOwner(pipeline, sink string) string { return "delivery/" + pipeline + "/" + sink }

// isStop reports whether an error only says that the delivery is being stopped.
func isStop(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, shardlog.ErrClosed)
}
