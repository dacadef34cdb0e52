package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/pipelines/control"
)

type tapCmd struct {
	Target string `arg:"" optional:"" help:"PIPELINE, for what it makes of records from beginning to end, or PIPELINE/STAGE. Without it, what runs is listed." placeholder:"PIPELINE[/STAGE]"`
	Side   string `help:"What to show: ${enum}. in is what enters, out what becomes of it, diff what the stage changes, shadow where the stage's shadow makes something else of a record." enum:"in,out,diff,shadow" default:"diff"`
	Sink   string `help:"Watch the run of the stages for this sink; by default the first sink's." placeholder:"NAME"`
	Where  string `help:"Only records for which a condition holds, before the stage or after it, written as for the filter transform; every record is looked at, as far as there is time." placeholder:"CONDITION"`
	Limit  int    `help:"End after so many records; 0 for no end." default:"0"`
	Rate   int    `help:"Most records shown a second, spread over those that pass; 0 for as many as can be." default:"100"`
	Data   string `help:"Data directory of the leat to look into." default:"./leat-data"`
	jsonFlag
}

// Help is shown by leat tap --help.
func (tapCmd) Help() string {
	return `Looks into a leat run or leat serve that uses the data directory, and never slows it down: what there is no room or no time for is not shown, and counted. So are records of which --where cannot be said, such as text that is not JSON. It goes on through new versions of the pipeline and ends with it, at --limit, or with Ctrl-C.

Records of batches that are worked on at the same time come in any order. With --json, each line is a JSON object, whose "event" is watching, record, skipped, undecided, stopped, started or ended.

Exit codes: 0 the end, or stopped with Ctrl-C, 1 no leat runs there, it ended without a word, or it has no room for another tap, 2 wrong use: no such pipeline, stage, sink or shadow, or a wrong condition.

Examples:

  leat tap
  leat tap birdstrikes/csv-to-json
  leat tap birdstrikes --side out --limit 10
  leat tap birdstrikes --where 'speed > 200 && airport startsWith "J"'
  leat tap birdstrikes/csv-to-json --side in --rate 0 --json | jq -r .in.data`
}

// Run shows what passes a stage.
func (c *tapCmd) Run(a *app) error {
	if c.Limit < 0 || c.Rate < 0 {
		return wrong("--limit and --rate cannot be negative")
	}
	client, err := control.Dial(c.Data)
	if err != nil {
		return err
	}
	if c.Target == "" {
		return c.list(a, client)
	}
	pipeline, stage, _ := strings.Cut(c.Target, "/")
	r := control.Request{Pipeline: pipeline, Stage: stage, Side: c.Side, Sink: c.Sink, Limit: c.Limit, Rate: c.Rate, Where: c.Where}
	ctx, stop := signal.NotifyContext(a.ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := control.Printer{Out: a.stdout, Notes: a.stderr, Color: colored(a.stdout), NotesColor: colored(a.stderr)}
	see := p.Print
	if c.JSON {
		enc := json.NewEncoder(a.stdout)
		enc.SetEscapeHTML(false)
		see = func(e *control.Event) error { return enc.Encode(e) }
	}
	err = errors.Join(client.Tap(ctx, r, see), p.Close())
	if ctx.Err() != nil {
		return nil // who looks has seen enough
	}
	switch fault.CodeOf(err) {
	case control.CodeBadRequest, control.CodeNoPipeline, control.CodeNoStage, control.CodeNoSink, control.CodeNoShadow:
		return &exitError{exitUsage, err}
	}
	return err
}

// colored reports whether colours may be written to w.
func colored(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
}

// list shows what runs.
func (c *tapCmd) list(a *app, client *control.Client) error {
	all, err := client.Pipelines(a.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(all)
	}
	if len(all) == 0 {
		fmt.Fprintln(a.stdout, "no pipelines run there")
		return nil
	}
	w := a.table()
	fmt.Fprintln(w, "PIPELINE\tSTAGES\tSINKS")
	for _, p := range all {
		var stages []string
		for _, s := range p.Stages {
			name := s.Name
			if s.Shadow != nil {
				name += " (shadow)"
			}
			stages = append(stages, name)
		}
		text := strings.Join(stages, ", ")
		switch {
		case !p.Running:
			text = "not running at the moment"
		case text == "":
			text = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.Pipeline, text, strings.Join(p.Sinks, ", "))
	}
	return w.Flush()
}
