package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/leatstream/leat/pipelines/foreground"
	"github.com/leatstream/leat/pipelines/spec"
)

type runCmd struct {
	Files     []string `arg:"" name:"file" help:"Pipeline files, or folders of them."`
	UntilIdle bool     `help:"End when the sources are exhausted and everything is delivered."`
	Drain     bool     `help:"When told to stop, deliver what is in the stream first, whatever the buffers' size and age."`
	Watch     bool     `help:"Follow the pipeline files and what their transforms are made of: build and test what changes, and let it take over if it is good."`
	Quiet     bool     `short:"q" help:"Show warnings and errors alone: neither the data directory, progress nor the summary."`
	setFlag
	jsonFlag
	hostFlags `set:"metrics="`
}

// Help is shown by leat run --help.
func (runCmd) Help() string {
	return `Runs until it is told to stop. Each destination is asked first whether deliveries would work: one that refuses ends the command before anything is read, one that does not answer is waited for later. On SIGINT or SIGTERM puts under way end (20 s at most); what is not in a sealed object yet stays in the stream, and the next run goes on there. The second signal ends the process at once; that loses nothing either.

On a terminal, a line shows the progress. At the end a table shows what each sink did in this run: "in" is what was pending before and what has come since, and is the sum of delivered, dropped, dead, pending, expired and skipped. Both go to standard error, and so do logs: by default warnings and errors alone.

With --watch, a change of a pipeline file, of a module or a script, or of a folder of source takes effect when it lasts: what changed is built, the tests in the file are run, and if they pass, the new version goes on where the one before stops: no record is lost or delivered twice. A build, a test, a destination or a file that is wrong changes nothing; it is shown and, until it is mended, in /healthz. A pipeline that cannot go on rests until something changes.

Exit codes: 0 idle or stopped as told, 1 a destination refuses or a pipeline could not go on, 2 wrong use or a wrong pipeline file, 3 the data directory is in use, 130 and 143 stopped by SIGINT and SIGTERM before it ran or before --until-idle was reached, or told twice.

Examples:

  leat run pipeline.yaml
  leat run --watch pipeline.yaml
  leat run --until-idle --set sinks.archive.compression=none pipeline.yaml
  leat run --until-idle --json pipeline.yaml | jq '.pipelines[].sinks[]'`
}

// Run runs pipelines in the foreground.
func (c *runCmd) Run(a *app) error {
	if c.Watch && c.UntilIdle {
		return wrong("--watch goes on until it is told to stop, and --until-idle until everything is delivered: use one of them")
	}
	var pipelines []*spec.Pipeline
	var seen *foreground.Seen
	var err error
	if c.Watch {
		pipelines, seen, err = foreground.See(c.Files, c.load)
	} else {
		pipelines, err = c.load()
	}
	if err != nil {
		return err
	}
	h, err := c.host(a, c.Quiet, slog.LevelWarn)
	if err != nil {
		return err
	}
	table := !c.Quiet && !c.JSON
	if table {
		where := h.options.Data.Path
		if h.options.Data.New {
			where += " (new)"
		}
		fmt.Fprintf(h.status, "data directory: %s\n", where)
	}
	h.options.UntilIdle = c.UntilIdle
	group, err := foreground.Open(h.ctx, pipelines, h.options)
	if err != nil {
		h.status.Clear()
		err = errors.Join(err, h.close())
		if told := h.interrupted(); told != nil {
			return told // before anything had begun
		}
		return err
	}
	watched, watching := context.WithCancel(context.Background())
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		showProgress(watched, h.status, group)
	}()
	if c.Watch {
		err = c.watch(a, h, group, seen)
	} else {
		err = group.Run(h.ctx, foreground.RunOptions{UntilIdle: c.UntilIdle, Drain: c.Drain, Control: h.control})
	}
	watching()
	<-shown
	h.status.Clear()
	reports := group.Report()
	err = errors.Join(err, h.close())
	if c.JSON {
		err = errors.Join(err, a.printJSON(map[string]any{"pipelines": reports}))
	}
	if table {
		printSummary(a.stderr, reports)
	}
	if c.UntilIdle && err == nil && unfinished(reports) {
		return h.interrupted()
	}
	return err
}

// loadAll reads all files and reports the errors of all.
func loadAll(files []string, opts spec.Options) ([]*spec.Pipeline, error) {
	var all []*spec.Pipeline
	first := map[string]string{}
	for _, file := range files {
		pipelines, err := spec.Load(file, opts)
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
