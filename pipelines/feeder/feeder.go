package feeder

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
)

// Feeder feeds the lines of files into a stream. It runs once.
type Feeder struct {
	cfg      Config
	stream   Stream
	log      *slog.Logger
	slots    slots
	started  atomic.Bool
	putCtx   context.Context
	counters struct {
		files, failing, lag                        atomic.Int64
		bytes, records                             atomic.Int64
		rotations, truncations, lost               atomic.Int64
		long, empty, keyless, interrupted, retries atomic.Int64
	}

	// store and same are what tests replace by wrong ones, to see that it is noticed.
	store func(ctx context.Context, entries []stream.Entry, mark *shardlog.Mark) error
	same  func(p *position, r io.ReaderAt, before []byte) (bool, error)
}

// Stats is what a feeder has done since its start, and what is ahead of it.
type Stats struct {
	Files   int64 // files that inputs match, and earlier ones that are read to their end
	Failing int64 // of these and of other paths matched, those that cannot be read now
	Lag     int64 // bytes of these files that are not yet stored, as of the last look at them

	Bytes   int64 // bytes of files that were stored or passed over
	Records int64 // records stored

	Rotations   int64 // files that got another path, or none
	Truncations int64 // files that were truncated or overwritten, and read from their beginning
	LostBytes   int64 // bytes seen but not yet read when a file was truncated: a lower bound of what was lost

	LongLines        int64 // lines passed over because they are too long
	EmptyLines       int64 // lines passed over because they are empty
	KeylessLines     int64 // lines that got the key Keyless
	InterruptedLines int64 // last lines that were taken without a newline and grew later: two records each
	Retries          int64 // puts that were tried again
}

// Stats may be called at any time.
func (f *Feeder) Stats() Stats {
	c := &f.counters
	return Stats{
		Files: c.files.Load(), Failing: c.failing.Load(), Lag: c.lag.Load(),
		Bytes: c.bytes.Load(), Records: c.records.Load(),
		Rotations: c.rotations.Load(), Truncations: c.truncations.Load(), LostBytes: c.lost.Load(),
		LongLines: c.long.Load(), EmptyLines: c.empty.Load(), KeylessLines: c.keyless.Load(),
		InterruptedLines: c.interrupted.Load(), Retries: c.retries.Load(),
	}
}

// New returns a feeder, or a permanent error with the code feeder.invalid_config. It does not yet look at any file.
func New(cfg Config, s Stream, logger *slog.Logger) (*Feeder, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	if !supported {
		return nil, fault.New(fault.Permanent, "feeder.unsupported", "files cannot be fed into a stream on this operating system: it does not tell files apart as a Unix does")
	}
	f := &Feeder{cfg: cfg, stream: s, log: logger, slots: slots{name: cfg.Name}, same: (*position).sameFile}
	f.store = func(ctx context.Context, entries []stream.Entry, mark *shardlog.Mark) error {
		_, err := s.PutMarked(ctx, entries, mark)
		return err
	}
	return f, nil
}

// task is what a worker does: visit a file or, without a file, remove the mark of an identity.
type task struct {
	file *file
	id   identity
	slot int
	err  error
}

// Run feeds until ctx is done, and returns nil then; with UntilIdle it also returns when all files have been read to
// their end. It returns an error if
//   - the stream will take nothing more, whatever is waited for: closed, poisoned, or a record refused for good
//   - a stored position cannot be read (feeder.bad_mark)
//   - with UntilIdle, an input matches no file (feeder.no_match) or a file cannot be read (feeder.unreadable): an
//     [engine.Incomplete], after all others have been read.
//
// Whatever ends it, a put under way is finished first, for up to 5 seconds.
func (f *Feeder) Run(ctx context.Context) error {
	if !f.started.CompareAndSwap(false, true) {
		return fault.New(fault.Permanent, "feeder.started", "feeder %s runs already or has run", f.cfg.Name)
	}
	marks, err := f.slots.load(f.stream.Mark)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	putCtx, abandon := context.WithCancel(context.WithoutCancel(ctx))
	f.putCtx = putCtx
	defer abandon()
	defer context.AfterFunc(ctx, func() {
		select {
		case <-time.After(stopGrace):
			abandon()
		case <-putCtx.Done():
		}
	})()

	todo, done := make(chan task), make(chan task, f.cfg.Parallel)
	var workers sync.WaitGroup
	for range f.cfg.Parallel {
		workers.Go(func() { f.work(ctx, todo, done) })
	}
	watch := newWatch(f, marks)
	watch.others = f.loadOthers()
	defer watch.close()
	defer workers.Wait()
	defer close(todo)
	defer stop()
	return f.loop(ctx, watch, todo, done)
}

func (f *Feeder) work(ctx context.Context, todo <-chan task, done chan<- task) {
	var w *worker // its buffers are made when there is work for it
	for t := range todo {
		if t.file != nil {
			if w == nil {
				w = newWorker(f)
			}
			t.err = w.visit(ctx, t.file)
		} else if t.err = f.putMark(ctx, shardlog.Mark{Producer: f.slots.producer(t.slot)}); t.err == nil {
			f.slots.give(t.slot)
		}
		done <- t
	}
}

// loop looks at the files from time to time and hands out what there is to do.
func (f *Feeder) loop(ctx context.Context, w *watch, todo chan<- task, done <-chan task) error {
	look := time.NewTimer(0)
	defer look.Stop()
	working, looked := 0, false
	scan := func() {
		began := time.Now()
		w.scan(began)
		looked = true
		look.Reset(max(f.cfg.Poll, scanShare*time.Since(began)))
	}
	for {
		if f.cfg.UntilIdle && working == 0 && len(w.queue) == 0 {
			if !looked {
				scan()
			}
			if len(w.queue) == 0 && !w.unsettled() {
				if err := w.verdict(); err != nil {
					return engine.Incomplete{Err: err}
				}
				return nil
			}
		}
		var out chan<- task
		var next task
		if len(w.queue) > 0 {
			out, next = todo, w.queue[0]
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			scan()
		case out <- next:
			w.queue = w.queue[1:]
			working++
		case t := <-done:
			working--
			looked = false
			if t.err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return t.err
			}
			if t.file == nil {
				delete(w.forgetting, t.id)
			} else {
				w.visited(t.file, time.Now())
			}
		}
	}
}

func (f *Feeder) warnLong(t *file, at int64) {
	if !t.warned.long {
		t.warned.long = true
		f.log.Warn("a line is too long and is passed over; further ones in this file are only counted", "file", t.path, "byte", at, "longest", t.input.MaxLine)
	}
}

func (f *Feeder) warnKeyless(t *file, at int64) {
	if !t.warned.keyless {
		t.warned.keyless = true
		f.log.Warn("no partition key found in a line, it gets the key "+Keyless+"; further ones in this file are only counted", "file", t.path, "byte", at)
	}
}

func (f *Feeder) warnSplit(t *file, at int64) {
	f.counters.interrupted.Add(1)
	if !t.warned.split {
		t.warned.split = true
		f.log.Warn("a last line grew after it had been taken without a newline, so its rest is a record of its own; programs should append whole lines", "file", t.path, "byte", at)
	}
}

func (f *Feeder) logFile(level slog.Level, t *file, msg string, args ...any) {
	f.log.Log(context.Background(), level, msg, append([]any{"file", t.path}, args...)...)
}
