package stage

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/core/fault"
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

// A stage that rests is tried with probeRecords records and the rest of the last one's root, first after firstRest, then after twice
// as long each time, up to lastRest.
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

// Tolerance watches how a stage does, over all chains that it is part of. The stage is degraded from when more than Over of the
// last Of records have failed until, of as many again, at most half of that share fail; or, if it rests then, until a few
// records that are tried no longer fail too often. It is degraded and rests, too, from when it cannot work, whatever the records,
// until it can.
type Tolerance struct {
	cfg ToleranceConfig

	mu      sync.Mutex
	window  []tally       // the last Of records or some fewer, oldest first
	seen    int           // records in window
	failed  int           // of them
	tooMany bool          // have failed
	unable  error         // why the stage cannot work; nil if it can
	told    bool          // what cfg.Degraded was told
	last    Result        // the failure seen last
	share   setting.Share // when too many had failed, or when it was last tried
	rest    time.Duration // the present wait
	next    time.Time     // when the stage may be tried
	trying  bool
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
	if err := t.state(); err != nil || !t.tooMany {
		return err
	}
	return t.complaint(fault.Unavailable, CodePaused)
}

// state is why the stage rests or, if it is permanent, has come to its end; nil if it works. t.mu is held.
func (t *Tolerance) state() error {
	if t.unable == nil || t.tooMany && t.cfg.Then == StopPipeline {
		return t.refusal()
	}
	return fault.New(fault.ClassOf(t.unable), fault.CodeOf(t.unable), "stage %s cannot work; it rests, its records stay in the stream, and a few are tried again %s: %w",
		t.cfg.Stage, t.again(), t.unable)
}

// refusal is the error of records that the stage does not take because too many have failed; t.mu is held.
func (t *Tolerance) refusal() error {
	switch {
	case !t.tooMany || t.cfg.Then == Continue:
		return nil
	case t.cfg.Then == Pause:
		return t.complaint(fault.Unavailable, CodePaused)
	default:
		return t.complaint(fault.Permanent, CodeTooManyFailures)
	}
}

// complaint says that too many records have failed; t.mu is held.
func (t *Tolerance) complaint(class fault.Class, code string) error {
	does := map[Reaction]string{
		Continue: "it goes on", Pause: "it rests, its records stay in the stream, and a few are tried again " + t.again(), StopPipeline: "the pipeline stops",
	}[t.cfg.Then]
	return fault.New(class, code, "stage %s fails %s of its records, more than the %s of %d that it may; %s: %s: %s",
		t.cfg.Stage, t.share.About(), t.cfg.Over, t.cfg.Of, does, t.last.Code, t.last.Reason).
		WithHint("correct the transform or the data, or change the stage's failures in the pipeline file")
}

func (t *Tolerance) again() string {
	if wait := time.Until(t.next).Round(time.Second / 10); wait > 0 {
		return "in " + wait.String()
	}
	return "now"
}

// admit returns when the stage may work. While it rests one caller at a time may, to try it with a few records, and tells
// [Tolerance.note] so.
func (t *Tolerance) admit(ctx context.Context) (trial bool, err error) {
	if t == nil {
		return false, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		why, wait := t.state(), time.Until(t.next)
		switch {
		case why == nil || fault.ClassOf(why) == fault.Permanent || t.trying:
			return false, why
		case wait <= 0:
			t.trying = true
			return true, nil
		}
		t.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		t.mu.Lock()
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
	}
}

// few leaves the first of the records in work that a stage is tried with.
func (s *step) few() {
	n := min(probeRecords, len(s.roots))
	for n > 0 && n < len(s.roots) && s.roots[n].root == s.roots[n-1].root {
		n++
	}
	s.view.Records, s.roots = s.view.Records[:n], s.roots[:n]
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

// note takes what became of a call that [Tolerance.admit] has let pass: its error, or what it made of its records. An error refuses
// them: they stay in the stream.
func (t *Tolerance) note(ctx context.Context, o *Output, err error, trial bool) error {
	if t == nil {
		return err
	}
	failed, last := o.failures()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trying = t.trying && !trial
	switch {
	case err != nil && (ctx.Err() != nil || fault.ClassOf(err) == fault.Permanent):
		return err
	case err != nil:
		return t.rests(err, trial)
	case trial:
		t.unable = nil
		if t.tooMany && t.cfg.Then == Pause {
			if t.over(failed, len(o.Results)) {
				t.last, t.share = last, setting.Share(failed)/setting.Share(len(o.Results))
				return t.rests(t.refusal(), trial)
			}
			t.ends()
		}
		t.tell()
	}
	if failed > 0 {
		t.last = last
	}
	was := t.tooMany
	for some := range slices.Chunk(o.Results, t.some()) {
		if t.count(some); !t.tooMany && t.over(t.failed, t.cfg.Of) {
			t.begins(t.failed, t.seen)
		}
	}
	// What begins with a batch is seen for another one at least.
	if was && t.cfg.Then == Continue && t.seen > t.cfg.Of-t.some() && float64(t.failed) <= float64(t.cfg.Over)/2*float64(t.seen) {
		t.ends()
	}
	return t.refusal()
}

// rests lets the stage rest because of err, for longer after a trial, if it does not rest already. It returns the error of the
// records; t.mu is held.
func (t *Tolerance) rests(err error, trial bool) error {
	begins := t.state() == nil
	if fault.CodeOf(err) != CodePaused {
		t.unable = err
	} else if trial {
		t.unable = nil
	}
	if begins || trial {
		if t.rest = min(2*t.rest, lastRest); begins {
			t.rest = firstRest
		}
		wait := t.rest
		if l, ok := errors.AsType[Later](err); ok {
			wait = max(wait, l.Later())
		}
		t.next = time.Now().Add(wait)
	}
	t.tell()
	return t.state()
}

// exceeded returns an error as soon as, of the records of a batch up to at, too many have failed by themselves: [Tolerance.note] would
// refuse the batch anyway, but only once the last of them has used up its time. The results up to at must be known.
func (t *Tolerance) exceeded(results []Result, at int) error {
	if t == nil || t.cfg.Then == Continue {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	of := t.cfg.Of
	if t.tooMany { // a few are tried
		of = min(of, probeRecords)
	}
	newest := Output{Results: results[max(0, at+1-of) : at+1]}
	failed, last := newest.failures()
	if !t.over(failed, of) {
		return nil
	}
	if t.last = last; !t.tooMany {
		t.begins(failed, len(newest.Results))
	}
	return t.refusal()
}

// over is whether so many of so many records are too many.
func (t *Tolerance) over(failed, of int) bool {
	return float64(failed) > float64(t.cfg.Over)*float64(of)
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
	t.tooMany, t.share = true, setting.Share(failed)/setting.Share(records)
	t.rest, t.next = firstRest, time.Now().Add(firstRest)
	t.cfg.Logger.Warn("a stage fails too many of its records", "stage", t.cfg.Stage, "share", t.share.About(),
		"over", t.cfg.Over.String(), "of", t.cfg.Of, "then", t.cfg.Then, "code", t.last.Code, "reason", t.last.Reason)
	t.tell()
}

func (t *Tolerance) ends() {
	t.tooMany = false
	t.window, t.seen, t.failed = t.window[:0], 0, 0
	t.cfg.Logger.Info("a stage no longer fails too many of its records", "stage", t.cfg.Stage)
	t.tell()
}

// tell says whether the stage is degraded, if that is new.
func (t *Tolerance) tell() {
	if now := t.tooMany || t.unable != nil; now != t.told {
		t.told = now
		t.cfg.Degraded(now)
	}
}
