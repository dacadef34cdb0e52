package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/foreground"
	"github.com/leatstream/leat/pipelines/spec"
)

type runCmd struct {
	Files     []string `arg:"" name:"file" help:"Pipeline files, or folders of them."`
	UntilIdle bool     `help:"End when the sources are exhausted and everything is delivered."`
	Drain     bool     `help:"When told to stop, deliver what is in the stream first, whatever the buffers' size and age."`
	Removed   string   `help:"What to do with sealed objects of sinks that the file does not have any more: ${enum}. With abandon these sinks are forgotten altogether; else one that comes back goes on from its checkpoint." enum:"refuse,finish,abandon" default:"refuse"`
	Metrics   string   `help:"Serve /metrics and /healthz at this address; off if absent." placeholder:"ADDR"`
	Insecure  bool     `help:"Allow --metrics at an address that other machines reach."`
	Quiet     bool     `short:"q" help:"Show neither progress nor the summary."`
	setFlag
	dataFlag
	jsonFlag
	logFlags
}

// Help is shown by leat run --help.
func (runCmd) Help() string {
	return `Runs until it is told to stop. On SIGINT or SIGTERM puts under way end (20 s at most); what is not in a sealed object yet stays in the stream, and the next run goes on there. The second signal ends the process at once; that loses nothing either.

On a terminal, a line shows the progress. At the end a table shows what each sink did in this run: "in" is what was pending before and what has come since, and is the sum of delivered, dropped, dead, pending, expired and skipped. Both go to standard error, and so do logs: by default warnings and errors alone.

Exit codes: 0 idle or stopped as told, 1 a pipeline could not go on, 2 wrong use or a wrong pipeline file, 3 the data directory is in use, 130 and 143 stopped by SIGINT and SIGTERM before it ran or before --until-idle was reached, or told twice.

Examples:

  leat run pipeline.yaml
  leat run --until-idle --set sinks.archive.compression=none pipeline.yaml
  leat run --until-idle --json pipeline.yaml | jq '.pipelines[].sinks[]'`
}

// Run runs pipelines in the foreground.
func (c *runCmd) Run(a *app) error {
	pipelines, err := loadAll(c.Files, c.Set)
	if err != nil {
		return err
	}
	if c.JSON && writesStdout(pipelines) {
		return wrong("--json and a stdout sink both write to standard output: use one of them")
	}
	status := newStatusLine(a.stderr, c.Quiet)
	logger := c.logger(status, slog.LevelWarn)
	ctx, stopped := untilSignal(a.ctx, status, endsPuts)

	metrics, health, stop, err := serveMetrics(c.Metrics, c.Insecure, logger)
	if err != nil {
		return err
	}
	defer stop()
	dir, err := c.open(logger, metrics)
	if err != nil {
		return err
	}
	closeDir := func() { err = errors.Join(err, dir.Close()) }
	group, err := foreground.Open(ctx, pipelines, build.Options{
		Data: dir, Logger: logger, Metrics: metrics, UntilIdle: c.UntilIdle, Stdout: a.stdout,
		Progress: func(what string) { status.Show(what + " …") }, Removed: removedChoice(c.Removed),
	})
	if err != nil {
		status.Clear()
		closeDir()
		if sig := stopped.Load(); sig != 0 {
			return &exitError{code: 128 + int(sig)} // told to stop before anything had begun
		}
		return err
	}
	defer registerGroup(health, group)()
	watched, watching := context.WithCancel(context.Background())
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		showProgress(watched, status, group)
	}()
	err = group.Run(ctx, foreground.RunOptions{UntilIdle: c.UntilIdle, Drain: c.Drain})
	watching()
	<-shown
	status.Clear()
	reports := group.Report()
	closeDir()
	if c.JSON {
		err = errors.Join(err, a.printJSON(map[string]any{"pipelines": reports}))
	} else if !c.Quiet {
		printSummary(a.stderr, reports)
	}
	if sig := stopped.Load(); sig != 0 && c.UntilIdle && err == nil && unfinished(reports) {
		return &exitError{code: 128 + int(sig)}
	}
	return err
}

// loadAll reads all files and reports the errors of all.
func loadAll(files, set []string) ([]*spec.Pipeline, error) {
	var all []*spec.Pipeline
	first := map[string]string{}
	for _, file := range files {
		pipelines, err := spec.Load(file, spec.Options{Set: set})
		if err != nil {
			return nil, err
		}
		for _, p := range pipelines {
			if other, ok := first[p.Name]; ok {
				return nil, wrong("the pipeline %q is in %s and in %s", p.Name, other, p.File)
			}
			first[p.Name] = p.File
		}
		all = append(all, pipelines...)
	}
	return all, nil
}

func writesStdout(pipelines []*spec.Pipeline) bool {
	for _, p := range pipelines {
		for i := range p.Sinks {
			if p.Sinks[i].Stdout != nil {
				return true
			}
		}
	}
	return false
}

func removedChoice(flag string) build.Removed {
	if flag == "refuse" {
		return build.RefuseRemoved
	}
	return build.Removed(flag)
}

// unfinished reports whether a run that should have ended idle left something.
func unfinished(reports []foreground.Report) bool {
	for _, r := range reports {
		for _, s := range r.Sinks {
			if s.Pending > 0 {
				return true
			}
		}
	}
	return false
}

// registerGroup shows the pipelines of a group in /healthz.
func registerGroup(h *observe.Health, g *foreground.Group) (remove func()) {
	var removes []func()
	for i, r := range g.Report() {
		removes = append(removes, h.Register("pipeline/"+r.Pipeline, func() error {
			if now := g.Report()[i]; now.Error != "" {
				return errors.New(now.Error)
			}
			return nil
		}))
	}
	return func() {
		for _, remove := range removes {
			remove()
		}
	}
}

// What the first signal does, for who sent it.
const (
	endsPuts = "stopping: puts under way end, the rest stays in the stream for the next run; once more to stop at once"
	endsWork = "stopping; once more to stop at once"
)

// untilSignal returns a context that ends with the first SIGINT or SIGTERM, and that signal; it is shown what that does.
// The second one ends the process at once: everything durable is safe at any moment.
func untilSignal(parent context.Context, status *statusLine, does string) (context.Context, *atomic.Int32) {
	ctx, cancel := context.WithCancel(parent)
	var first atomic.Int32
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		sig := (<-signals).(syscall.Signal)
		first.Store(int32(sig))
		fmt.Fprintf(status, "leat: %s\n", does)
		cancel()
		sig = (<-signals).(syscall.Signal)
		status.Clear()
		os.Exit(128 + int(sig))
	}()
	return ctx, &first
}

// serveMetrics serves metrics and health at an address; nowhere if that is empty, and then the metrics are nil.
func serveMetrics(addr string, insecure bool, logger *slog.Logger) (*observe.Metrics, *observe.Health, func(), error) {
	health := &observe.Health{}
	if addr == "" {
		return nil, health, func() {}, nil
	}
	metrics := observe.NewMetrics(observe.MetricsOptions{})
	server, err := observe.NewServer(observe.ServerConfig{Addr: addr, Insecure: insecure, Metrics: metrics, Health: health})
	if err != nil && fault.ClassOf(err) == fault.Permanent { // the address is no good, whatever the state of the machine
		err = &exitError{exitUsage, err}
	}
	if err != nil {
		return nil, nil, nil, err
	}
	logger.Info("serving metrics and health", "address", server.Addr())
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(); err != nil {
			logger.Error("metrics and health are not served any more", "error", err)
		}
	}()
	return metrics, health, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx) // the process ends, with or without the last request
		<-served
	}, nil
}
