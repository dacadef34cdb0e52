package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/pipelines/dryrun"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/pipelines/view"
)

type dryRunCmd struct {
	Files []string `arg:"" name:"file" help:"Pipeline files, or folders of them."`
	From  string   `help:"Where to start in the stream: trim_horizon (the oldest record), latest (the newest, as many as --limit), checkpoint (where the pipeline would go on) or a time in RFC 3339." default:"trim_horizon"`
	Limit int      `help:"Most records to read." default:"20"`
	All   bool     `help:"Read all records, whatever --limit says."`
	Input string   `help:"Read a file or a pipe in place of the stream, as the first of the pipeline's files is read; - is standard input." placeholder:"FILE"`
	Sink  string   `help:"Look at this sink alone." placeholder:"NAME"`
	Quiet bool     `short:"q" help:"Show the summary alone."`
	Data  string   `help:"Data directory that has the stream." default:"./leat-data"`
	setFlag
	jsonFlag
}

// Help is shown by leat dry-run --help.
func (dryRunCmd) Help() string {
	return `Sends real records through the pipeline's transforms, partition keys, prefixes and formats, and prints where each would go, or which stage ends it. The records are those of the pipeline's stream in the data directory, also while a leat that runs writes it; if there is no such stream, those of the files that feed the pipeline.

Nothing is delivered, and nothing in the data directory changes: no stream is made, no checkpoint moves. Transforms do run; one that asks an endpoint asks it. Shadows do not. The number of objects is what there would be had the records been delivered as they arrived.

With --json, each line is a JSON object: a record, and at the end of each pipeline a summary.

Exit codes: 0 done, 1 failed, or the pipeline would stop at a record, 2 wrong use or a wrong pipeline file, 130 and 143 stopped by SIGINT and SIGTERM.

Examples:

  leat dry-run pipeline.yaml
  leat dry-run --from checkpoint --all --quiet pipeline.yaml
  leat dry-run --from latest --limit 3 --sink archive --data /var/lib/leat pipeline.yaml
  leat dry-run --input sample.jsonl --json pipeline.yaml | jq .sinks`
}

// Run shows what pipelines would do.
func (c *dryRunCmd) Run(a *app) error {
	pipelines, err := loadAll(c.Files, spec.Options{Set: c.Set})
	if err != nil {
		return err
	}
	o := dryrun.Options{FS: vfs.OS(), Data: c.Data, Input: c.Input, Stdin: a.stdin, From: c.From, Limit: c.Limit, Sink: c.Sink}
	switch c.From {
	case dryrun.TrimHorizon, dryrun.Latest, dryrun.Checkpoint:
	default:
		if o.At, err = time.Parse(time.RFC3339Nano, c.From); err != nil {
			return wrong("--from %s: want trim_horizon, latest, checkpoint or a time such as 2026-11-01T00:00:00Z", c.From)
		}
	}
	switch {
	case c.Input != "" && c.From != dryrun.TrimHorizon:
		return wrong("--from and --input: an input is read from its beginning")
	case c.All && c.From == dryrun.Latest:
		return wrong("--all and --from latest: the newest records are as many as --limit says")
	case c.All:
		o.Limit = 0
	case c.Limit < 1:
		return wrong("--limit wants at least 1; --all is for all")
	}
	if c.Input == "-" && len(pipelines) > 1 {
		return wrong("standard input can be read once, and there are %s", plural(len(pipelines), "pipeline"))
	}
	j := a.begin(c.JSON, endsWork)
	defer j.status.Clear()
	o.Build = j.checks()
	for _, p := range pipelines {
		if err := c.pipeline(a, j, p, o); err != nil {
			if told := j.interrupted(); told != nil {
				return told
			}
			return err
		}
	}
	return nil
}

func (c *dryRunCmd) pipeline(a *app, j *job, p *spec.Pipeline, o dryrun.Options) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	o.See = func(r *dryrun.Record) error {
		j.status.Clear()
		switch {
		case c.Quiet:
			return nil
		case c.JSON:
			return enc.Encode(struct {
				Pipeline string `json:"pipeline"`
				*dryrun.Record
			}{p.Name, r})
		}
		w := view.Writer{Color: colored(a.stdout)}
		dryrun.Print(&w, r)
		_, err := a.stdout.Write(w.Bytes())
		return err
	}
	sum, err := dryrun.Run(j.ctx, p, o)
	j.status.Clear()
	if sum == nil {
		if fault.CodeOf(err) == dryrun.CodeNoSink {
			err = &exitError{exitUsage, err}
		}
		return err
	}
	if c.JSON {
		return errors.Join(enc.Encode(map[string]any{"summary": sum}), err)
	}
	return errors.Join(printDryRun(a, sum, !c.Quiet), err)
}

// printDryRun writes a table with a row for each sink.
func printDryRun(a *app, sum *dryrun.Summary, gap bool) error {
	if gap && sum.Records > 0 {
		fmt.Fprintln(a.stdout)
	}
	more := ""
	if sum.More {
		more = ", and there are more"
	}
	fmt.Fprintf(a.stdout, "%s: %s (%s%s) from %s; nothing was delivered\n", sum.Pipeline, view.Count(sum.Records, "record"), sizeText(sum.Bytes), more, sum.Source)
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "SINK\tDELIVERED\tDROPPED\tDEAD\tOUTPUTS\tBYTES\tPREFIXES\tOBJECTS\t")
	for _, s := range sum.Sinks {
		prefixes, objects := "-", "-"
		if s.Objects > 0 {
			prefixes, objects = strconv.Itoa(s.Prefixes), "~"+strconv.Itoa(s.Objects)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t\n", s.Sink, s.Delivered, s.Dropped, s.Dead, s.Outputs, sizeText(s.Bytes), prefixes, objects)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i := 0; i < len(sum.Sinks); {
		s := &sum.Sinks[i]
		names := s.Sink
		for i++; i < len(sum.Sinks) && slices.Equal(s.Stages, sum.Sinks[i].Stages); i++ {
			names += ", " + sum.Sinks[i].Sink
		}
		for _, st := range s.Stages {
			fmt.Fprintf(&table, "%s: stage %s: %d dropped, %d dead\n", names, st.Stage, st.Dropped, st.Dead)
		}
	}
	if sum.LongLines > 0 {
		fmt.Fprintf(&table, "%s passed over, too long to become a record\n", view.Count(sum.LongLines, "line"))
	}
	_, err := fmt.Fprint(a.stdout, table.String())
	return err
}
