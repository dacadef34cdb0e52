package main

import (
	"fmt"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/pipelines/benchtransforms"
	"github.com/leatstream/leat/pipelines/spec"
)

type benchTransformsCmd struct {
	Only  []string      `help:"Measure these figures alone: crossing, identity, filter, guards, chain, poison, stream, cold-start." placeholder:"NAME"`
	Time  spec.Duration `help:"How long each side of a figure runs in a round." default:"500ms"`
	Size  spec.Bytes    `help:"Size of the input of the figure stream." default:"64MiB"`
	Check bool          `help:"Fail if a target is missed."`
	benchFlags
}

// Help is shown by leat bench transforms --help.
func (benchTransformsCmd) Help() string {
	return `Figures: crossing (500 records of 16 bytes a call, kept), identity (500 of 1 KiB, against writing the frame natively), filter (JSON log lines by a field, against the same source as native code), guards (metered and interrupted against none), chain (eight stages against one), poison (one record in 500 breaks its call, against none, in a chain on all cores), stream (the same in a whole pipeline) and cold-start (a new process with a module that was compiled before).

Modules: min is the smallest there can be; go is a few lines of Go, and batch the same without a cursor, both built once with the go command, which must be on PATH; c is part of leat. RATIO is of the two speeds, so that more is better, but for chain.

Exit codes: 0 measured, 1 failed or, with --check, missed a target, 2 wrong use, 130 and 143 stopped by SIGINT and SIGTERM.

Examples:

  leat bench transforms
  leat bench transforms --only crossing,identity --rounds 9 --json
  leat bench transforms --check`
}

// Run measures transforms.
func (c *benchTransformsCmd) Run(a *app) error {
	var rows []benchtransforms.Row
	err := c.measure(a, func(j *job) (err error) {
		rows, err = benchtransforms.Run(j.ctx, benchtransforms.Options{
			Time: c.Time.Std(), Rounds: c.Rounds, Only: c.Only, Dir: c.Dir, Size: int64(c.Size), Progress: j.doing,
		})
		return err
	})
	if fault.CodeOf(err) == "bench.options" {
		return &exitError{exitUsage, err}
	}
	if err != nil {
		return err
	}
	if err := c.print(a, rows); err != nil {
		return err
	}
	if c.Check {
		return benchtransforms.Missed(rows)
	}
	return nil
}

func (c *benchTransformsCmd) print(a *app, rows []benchtransforms.Row) error {
	if c.JSON {
		return a.printJSON(rows)
	}
	w := a.table()
	fmt.Fprintln(w, "FIGURE\tMODULE\tLEAT\tUNIT\tAGAINST\tBARE\tRATIO\tTARGET")
	for _, r := range rows {
		target := r.Target
		if target != "" && !r.Met {
			target += ": missed"
		}
		fmt.Fprintf(w, "%s\t%s\t%.4g\t%s\t%s\t%s\t%s\t%s\n", r.Figure, r.Module, r.Value, r.Unit, orNothing(r.Against), orDash(r.Bare, "%.4g"),
			orDash(r.Ratio, "%.2f"), orNothing(target))
	}
	return w.Flush()
}

func orNothing(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// benchTransformsColdCmd is what leat bench transforms starts to measure cold starts.
type benchTransformsColdCmd struct {
	Module string `help:"The module."`
}

// Run opens the module.
func (c *benchTransformsColdCmd) Run(a *app) error { return benchtransforms.ColdStart(a.ctx, c.Module) }
