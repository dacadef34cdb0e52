package wasm

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/wasm/meter"
)

// judge finds out which records break their call, in an instance of its own whose state is put back after each trial: that
// costs the pages of its memory which the trial wrote to, where a new instance costs all of it and its start.
//
// Nothing that it makes of a record is ever delivered, not even if the record turns out to be innocent. An instance that is
// put back repeats itself: it draws the same random numbers once more, for one, and two records would get the same "unique"
// id.
type judge struct {
	turn chan struct{} // holds an element during a trial
	i    *instance     // nil until it is needed, and after a trial that cannot be undone
	out  stage.Output
}

// patience is how long a call waits for the judge: a trial is mostly a matter of microseconds, and what it spares takes a
// millisecond or more; but one that spins takes as long as a call may.
const patience = 20 * time.Millisecond

// take waits for the judge. It is false if there is none, or that takes too long.
func (j *judge) take(ctx context.Context) bool {
	select {
	case j.turn <- struct{}{}:
		return true
	default:
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case j.turn <- struct{}{}:
		return true
	case <-late.C:
	case <-ctx.Done():
	}
	return false
}

// guilty tries a record alone, if it can now. It returns the error of the call; nil if there was none, or no trial.
func (m *Module) guilty(ctx context.Context, r []record.Record) error {
	_, err := m.search(ctx, r)
	return err
}

// search tries records one by one up to the first that breaks its call, and returns its index and the error of the call;
// nil if there is no such record, or no trial now.
func (m *Module) search(ctx context.Context, recs []record.Record) (at int, err error) {
	j := &m.judge
	if m.variables < 0 || !j.take(ctx) {
		return 0, nil
	}
	defer func() { <-j.turn }()
	if j.i == nil {
		if err := j.appoint(ctx, m); err != nil {
			return 0, nil // whoever needs an instance next reports it
		}
	}
	grown := int(j.i.mod.Memory().Size()) > j.i.saved.size
	for n := range recs {
		j.out.Reset() // what one makes is enough to hold
		if err = j.i.run(ctx, recs[n:], 0, 1, &j.out); err != nil {
			at = n
			break
		}
	}
	if grown && err != nil && (fault.CodeOf(err) == CodeMemory || j.i.gauge.cause.Get() == meter.CauseRoom) {
		j.giveUp(ctx)
		return 0, nil // it had less room than a new instance
	}
	if !j.i.undo() {
		j.giveUp(ctx)
	}
	return at, err
}

// appoint makes the judge's instance.
func (j *judge) appoint(ctx context.Context, m *Module) error {
	i, err := m.instantiate(ctx)
	if err != nil {
		return err
	}
	i.quiet = true // what the records make it say has been said
	i.stdout.Mute()
	i.stderr.Mute()
	i.save(true)
	j.i = i
	return nil
}

// giveUp makes the next trial one in a new instance.
func (j *judge) giveUp(ctx context.Context) {
	logger := j.i.m.cfg.Logger
	if err := j.dismiss(ctx); err != nil {
		logger.Warn("close an instance", "error", err)
	}
}

func (j *judge) dismiss(ctx context.Context) error {
	if j.i == nil {
		return nil
	}
	err := j.i.close(ctx)
	j.i = nil
	return err
}

// variablesOf returns how many exported globals hold the state of a module that restorable has changed, else -1.
func (m *Module) variablesOf() int {
	for _, s := range m.compiled.CustomSections() {
		if s.Name() == sectionState {
			if n, size := binary.Uvarint(s.Data()); size > 0 {
				return int(n)
			}
		}
	}
	return -1
}
