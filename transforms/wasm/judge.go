package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"strconv"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/internal/printed"
	"github.com/leatstream/leat/transforms/wasm/meter"
)

// judge finds out which records break their call, in an instance of its own whose state is put back after each trial: that
// costs the pages of its memory which the trial wrote to, where a new instance costs all of it and its start.
//
// Nothing that it makes of a record is ever delivered, not even if the record turns out to be innocent. An instance that is
// put back repeats itself: it draws the same random numbers once more, for one, and two records would get the same "unique"
// id. So what is delivered always comes from an instance that only ever went forward.
type judge struct {
	turn    chan struct{} // holds an element during a trial
	i       *instance     // nil until it is needed, and after a trial that cannot be undone
	out     stage.Output
	size    int    // bytes of its memory when it was ready
	memory  []byte // the memory itself, where the system does not keep it
	globals []api.MutableGlobal
	values  []uint64 // of the globals, when it was ready
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
	grown := int(j.i.mod.Memory().Size()) > j.size
	j.out.Reset()
	for n := range recs {
		if err = j.i.run(ctx, recs[n:], 0, 1, &j.out); err != nil {
			at = n
			break
		}
	}
	j.putBack(ctx)
	if grown && fault.CodeOf(err) == CodeMemory {
		return 0, nil // it had less room than a new instance
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
	i.stdout.log = printed.NewLog(slog.New(slog.DiscardHandler))
	i.stderr.log = i.stdout.log
	j.i, j.size, j.memory = i, int(i.mod.Memory().Size()), nil
	if !i.memory.keep(j.size) {
		view, _ := i.mod.Memory().Read(0, uint32(j.size))
		j.memory = bytes.Clone(view)
	}
	j.globals, j.values = j.globals[:0], j.values[:0]
	names := []string{meter.ExportCause} // the others of metering are set for each call
	for n := range m.variables {
		names = append(names, exportGlobal+strconv.Itoa(n))
	}
	for _, name := range names {
		g := i.mod.ExportedGlobal(name).(api.MutableGlobal)
		j.globals, j.values = append(j.globals, g), append(j.values, g.Get())
	}
	return nil
}

// maxGrown is how much of the room between its start and its limit the memory of the judge may have grown by: it cannot
// shrink.
const maxGrown = 1.0 / 16

// putBack puts the state of the judge's instance back, or gives the instance up if that cannot be: a module that was stopped
// by the clock alone is closed.
func (j *judge) putBack(ctx context.Context) {
	mem := j.i.mod.Memory()
	now := int(mem.Size())
	usable := !j.i.mod.IsClosed() && float64(now-j.size) <= maxGrown*float64(j.i.m.cfg.MemoryLimit-int64(j.size))
	if usable && j.memory == nil {
		usable = j.i.memory.forget(now) == nil
	} else if usable {
		mem.Write(0, j.memory)
		rest, _ := mem.Read(uint32(j.size), uint32(now-j.size))
		clear(rest)
	}
	if !usable {
		logger := j.i.m.cfg.Logger
		if err := j.dismiss(ctx); err != nil {
			logger.Warn("close an instance", "error", err)
		}
		return
	}
	for n, g := range j.globals {
		g.Set(j.values[n])
	}
	j.i.calls = 0
}

func (j *judge) dismiss(ctx context.Context) error {
	if j.i == nil {
		return nil
	}
	err := j.i.close(ctx)
	j.i, j.memory = nil, nil
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
