package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/pipelines/build"
)

// job is the work of a command that takes its time: it shows what goes on, and ends with a signal.
type job struct {
	ctx    context.Context // until the first SIGINT or SIGTERM
	status *statusLine
	signal atomic.Int32 // the first one; 0 before
}

// What the first signal does, for who sent it.
const (
	endsPuts = "stopping: puts under way end, the rest stays in the stream for the next run; once more to stop at once"
	endsWork = "stopping; once more to stop at once"
)

// begin begins a job. Who sends the first signal is shown what it does. The second one ends the process at once: everything
// durable is safe at any moment.
func (a *app) begin(quiet bool, signalDoes string) *job {
	ctx, cancel := context.WithCancel(a.ctx)
	j := &job{ctx: ctx, status: newStatusLine(a.stderr, quiet)}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		j.signal.Store(int32((<-signals).(syscall.Signal)))
		fmt.Fprintf(j.status, "leat: %s\n", signalDoes)
		cancel()
		second := (<-signals).(syscall.Signal)
		j.status.Clear()
		os.Exit(128 + int(second))
	}()
	return j
}

// doing shows what goes on.
func (j *job) doing(what string) { j.status.Show(what + " …") }

// interrupted is the exit code of a job that a signal has ended before it was done; nil if there was none.
func (j *job) interrupted() error {
	if sig := j.signal.Load(); sig != 0 {
		return &exitError{code: 128 + int(sig)}
	}
	return nil
}

// checks are the options to build what is not run.
func (j *job) checks() build.Options {
	return build.Options{Logger: observe.Logger(j.status, observe.Text, slog.LevelWarn), Progress: j.doing}
}
