package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/pipelines/audit"
)

type auditCmd struct {
	Pipeline string `arg:"" help:"Name of the pipeline, as in its file."`
	dataFlag
	jsonFlag
}

// Help is shown by leat audit --help.
func (auditCmd) Help() string {
	return `Prints the ledger of each sink, shard by shard, from durable state: in = delivered + dropped + dead + pending + expired + skipped, in input records. Objects on their way are checked against their spool files. Nothing is written, and a leat that uses the data directory may go on.

Exit codes: 0 it holds, 1 it does not, or the data cannot be read, 2 wrong use.

Examples:

  leat audit birdstrikes
  leat audit birdstrikes --data /var/lib/leat --json`
}

// Run prints the ledger.
func (c *auditCmd) Run(a *app) error {
	reports, err := audit.Run(a.ctx, vfs.OS(), c.Data, c.Pipeline)
	if err != nil {
		return err
	}
	holds := audit.Holds(reports)
	if c.JSON {
		err := a.printJSON(map[string]any{"pipeline": c.Pipeline, "holds": holds, "sinks": reports})
		if err != nil {
			return err
		}
	} else if err := printAudit(a, reports); err != nil {
		return err
	}
	if !holds {
		return &exitError{code: exitFailed}
	}
	return nil
}

func printAudit(a *app, reports []*delivery.Report) error {
	for _, r := range reports {
		fmt.Fprintf(a.stdout, "%s/%s from stream %s (%s)\n", r.Pipeline, r.Sink, r.Stream, r.Incarnation)
		w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "SHARD\tIN\tDELIVERED\tDROPPED\tDEAD\tPENDING\tEXPIRED\tSKIPPED\tCHECKPOINT\tNEXT\t")
		row := func(name string, n delivery.Counts, more string) {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t\n", name, n.In, n.Delivered, n.Dropped, n.Dead, n.Pending, n.Expired, n.Skipped, more)
		}
		for _, s := range r.Shards {
			row(s.Shard.String(), s.Counts, fmt.Sprintf("%d\t%d", s.Checkpoint, s.Next))
		}
		row("all", r.Total, "\t")
		if err := w.Flush(); err != nil {
			return err
		}
		if len(r.Unsent) > 0 {
			fmt.Fprintf(a.stdout, "%s on the way\n", plural(len(r.Unsent), "object"))
		}
		for _, p := range r.Problems {
			fmt.Fprintf(a.stdout, "does not hold: %s\n", p)
		}
		if len(r.Problems) == 0 {
			fmt.Fprintln(a.stdout, "holds")
		}
	}
	return nil
}
