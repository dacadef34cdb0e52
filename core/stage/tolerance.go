package stage

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
)

// Codes of batches that a tolerance refuses.
const (
	CodePaused          = "stage.paused"            // the stage has failed too many records, and rests
	CodeTooManyFailures = "stage.too_many_failures" // the stage has failed too many records, and its pipeline stops
)

// Reaction is what happens when a stage fails too many records.
type Reaction string

const (
	// Continue goes on as the stage's policy says, record by record.
	Continue Reaction = "continue"
	// Pause leaves the records in the stream, and tries a few of them from time to time.
	Pause Reaction = "pause"
	// StopPipeline ends the pipeline with a permanent error.
	StopPipeline Reaction = "stop"
)

// A stage that rests is tried with at most probeRecords records, first after firstRest, then after twice as long each time,
// up to lastRest.
const (
	probeRecords = 16
	firstRest    = time.Second
	lastRest     = time.Minute
)

// ToleranceConfig says when a stage fails too many records.
type ToleranceConfig struct {
	// Over is the share of the last Of records that may fail.
	Over setting.Share
	// Of is how many records are looked at, at least 1.
	Of int
	// Then is what happens beyond; empty is Continue.
	Then Reaction
	// Stage is the stage's name, for messages.
	Stage string
	// Logger gets a warning when it begins and a line when it ends; nil discards them.
	Logger *slog.Logger
	// Degraded is told when it begins and when it ends; nil: nobody is.
	Degraded func(bool)
}

// Tolerance watches how many records a stage fails, over all chains that it is part of. The stage is degraded from when
// more than Over of the last Of records have failed until, of as many again, at most half of that share fail; or, if it
// rests then, until a few records that are tried no longer fail too often.
type Tolerance struct {
	cfg ToleranceConfig

	mu       sync.Mutex
	window   []tally // the last Of records or some fewer, oldest first
	seen     int     // records in window
	failed   int     // of them
	degraded bool
	last     Result        // the failure seen last
	share    setting.Share // when it began to be degraded, or when it was last tried
	rest     time.Duration // pause: the present wait
	next     time.Time     // pause: when the stage may be tried
	probing  bool
}

// tally is what became of some records.
type tally struct{ records, failed int }

// NewTolerance returns a tolerance for one stage.
func NewTolerance(cfg ToleranceConfig) *Tolerance {
	if cfg.Then == "" {
		cfg.Then = Continue
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Degraded == nil {
		cfg.Degraded = func(bool) {}
	}
	cfg.Of = max(cfg.Of, 1)
	return &Tolerance{cfg: cfg}
}

// Check returns an error while the stage is degraded.
func (t *Tolerance) Check() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.degraded {
		return nil
	}
	return t.complaint(fault.Unavailable, CodePaused)
}

// complaint describes the state; t.mu is held.
func (t *Tolerance) complaint(class fault.Class, code string) error {
	again := "now"
	if wait := time.Until(t.next).Round(time.Second / 10); wait > 0 {
		again = "in " + wait.String()
	}
	does := map[Reaction]string{
		Continue: "it goes on", Pause: "it rests, its records stay in the stream, and a few are tried again " + again, StopPipeline: "the pipeline stops",
	}[t.cfg.Then]
	return fault.New(class, code, "stage %s fails %s of its records, more than the %s of %d that it may; %s: %s: %s",
		t.cfg.Stage, t.share.About(), t.cfg.Over, t.cfg.Of, does, t.last.Code, t.last.Reason).
		WithHint("correct the transform or the data, or change the stage's failures in the pipeline file")
}

// admit returns nil if the stage may work. While it rests, admit waits until it may be tried, and then tries the first
// records of in: what becomes of them counts for nothing else.
func (t *Tolerance) admit(ctx context.Context, l *Link, in *record.Batch) error {
	if t == nil || t.cfg.Then == Continue {
		return nil
	}
	t.mu.Lock()
	for t.degraded && t.cfg.Then == Pause {
		if wait := time.Until(t.next); wait <= 0 && !t.probing {
			break
		} else if t.probing {
			defer t.mu.Unlock()
			return t.complaint(fault.Unavailable, CodePaused)
		} else {
			t.mu.Unlock()
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			t.mu.Lock()
		}
	}
	if !t.degraded {
		t.mu.Unlock()
		return nil
	}
	if t.cfg.Then == StopPipeline {
		defer t.mu.Unlock()
		return t.complaint(fault.Permanent, CodeTooManyFailures)
	}
	t.probing = true
	t.mu.Unlock()
	records, failed, last, err := l.probe(ctx, in)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.probing = false
	if err == nil && float64(failed) <= float64(t.cfg.Over)*float64(records) {
		t.ends()
		return nil
	}
	t.rest = min(2*t.rest, lastRest)
	t.next = time.Now().Add(t.rest)
	if err != nil {
		return err
	}
	t.last, t.share = last, setting.Share(failed)/setting.Share(records)
	return t.complaint(fault.Unavailable, CodePaused)
}

// probe runs the stage over the first records of in and counts those that fail.
func (l *Link) probe(ctx context.Context, in *record.Batch) (records, failed int, last Result, err error) {
	few := record.NewBatch()
	defer few.Release()
	few.Records = append(few.Records, in.Records[:min(len(in.Records), probeRecords)]...)
	s := newStep()
	defer s.release()
	if err := l.isolate(ctx, few, s); err != nil {
		return 0, 0, Result{}, err
	}
	failed, last = s.out.failures()
	return len(s.out.Results), failed, last, nil
}

// failures counts the results that failed and returns the last of them, with memory of its own.
func (o *Output) failures() (n int, last Result) {
	for i := range o.Results {
		if o.Results[i].Status == Failed {
			n++
			last = o.Results[i]
		}
	}
	last.Code, last.Reason = strings.Clone(cmp.Or(last.Code, CodeFailed)), strings.Clone(shortReason(last.Reason))
	return n, last
}

// note counts what became of a batch. An error refuses it: its records stay in the stream.
func (t *Tolerance) note(o *Output) error {
	if t == nil {
		return nil
	}
	failed, last := o.failures()
	t.mu.Lock()
	defer t.mu.Unlock()
	if failed > 0 {
		t.last = last
	}
	was := t.degraded
	for some := range slices.Chunk(o.Results, t.some()) {
		if t.count(some); !t.degraded && t.tooMany(t.failed) {
			t.begins(t.failed, t.seen)
		}
	}
	// What begins with a batch is seen for another one at least.
	if was && t.cfg.Then == Continue && t.seen > t.cfg.Of-t.some() && float64(t.failed) <= float64(t.cfg.Over)/2*float64(t.seen) {
		t.ends()
	}
	return t.refusal()
}

// refusal is what note returns; t.mu is held.
func (t *Tolerance) refusal() error {
	switch {
	case !t.degraded || t.cfg.Then == Continue:
		return nil
	case t.cfg.Then == Pause:
		return t.complaint(fault.Unavailable, CodePaused)
	default:
		return t.complaint(fault.Permanent, CodeTooManyFailures)
	}
}

// exceeded returns an error as soon as, of the records of a batch up to at, too many have failed by themselves: [Tolerance.note] would
// refuse the batch anyway, but only once the last of them has used up its time. The results up to at must be known.
func (t *Tolerance) exceeded(results []Result, at int) error {
	if t == nil || t.cfg.Then == Continue {
		return nil
	}
	newest := Output{Results: results[max(0, at+1-t.cfg.Of) : at+1]}
	failed, last := newest.failures()
	if !t.tooMany(failed) {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last = last; !t.degraded {
		t.begins(failed, len(newest.Results))
	}
	return t.refusal()
}

// tooMany is whether so many of at most Of records are too many.
func (t *Tolerance) tooMany(failed int) bool {
	return float64(failed) > float64(t.cfg.Over)*float64(t.cfg.Of)
}

// some is how many records the window forgets at a time, at most.
func (t *Tolerance) some() int { return max(1, t.cfg.Of/16) }

// count adds to the window what is new, and takes out what is too old.
func (t *Tolerance) count(results []Result) {
	records, failed := len(results), 0
	for i := range results {
		if results[i].Status == Failed {
			failed++
		}
	}
	if n := len(t.window); n > 0 && t.window[n-1].records+records <= t.some() {
		t.window[n-1].records += records
		t.window[n-1].failed += failed
	} else {
		t.window = append(t.window, tally{records, failed})
	}
	t.seen += records
	t.failed += failed
	for t.seen > t.cfg.Of {
		t.seen -= t.window[0].records
		t.failed -= t.window[0].failed
		t.window = append(t.window[:0], t.window[1:]...) // there are few
	}
}

func (t *Tolerance) begins(failed, records int) {
	t.degraded, t.share = true, setting.Share(failed)/setting.Share(records)
	t.rest, t.next = firstRest, time.Now().Add(firstRest)
	t.cfg.Logger.Warn("a stage fails too many of its records", "stage", t.cfg.Stage, "share", t.share.About(),
		"over", t.cfg.Over.String(), "of", t.cfg.Of, "then", t.cfg.Then, "code", t.last.Code, "reason", t.last.Reason)
	t.cfg.Degraded(true)
}

func (t *Tolerance) ends() {
	t.degraded = false
	t.window, t.seen, t.failed = t.window[:0], 0, 0
	t.cfg.Logger.Info("a stage no longer fails too many of its records", "stage", t.cfg.Stage)
	t.cfg.Degraded(false)
}
