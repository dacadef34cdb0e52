package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/pipelines/workbench"
	"github.com/leatstream/leat/transforms/wasm"
)

type transformBenchCmd struct {
	Transform string        `arg:"" help:"A folder of source or a .wasm file."`
	Input     string        `help:"File whose lines are the records, in place of the inputs of the transform's tests." placeholder:"FILE"`
	Config    string        `help:"The transform's config, as JSON, in place of that of its tests." placeholder:"JSON"`
	Guard     string        `help:"How a call is kept from running for ever: metered, interrupt or none." enum:"metered,interrupt,none" default:"metered"`
	Time      spec.Duration `help:"How long to measure." default:"2s"`
	jsonFlag
}

// Help is shown by leat transform bench --help.
func (transformBenchCmd) Help() string {
	return `Runs records through the transform on one core, in turns with the identity, a module that keeps every record: the difference is the transform's own work. Times are those of the median turn; take the ratio. Fuel counts the work in units of about one instruction and is the same on every machine, so it can be compared with yesterday's. Nothing here starts an instance anew: a call that traps, or takes more than a call may, ends the command with the reason. Under --guard none, one that never returns is ended by the second Ctrl-C alone.

Exit codes: 0 measured, 1 failed, 2 wrong use, 130 and 143 stopped by SIGINT and SIGTERM.

Examples:

  leat transform bench drop-debug
  leat transform bench --input rows.csv --config '{"columns":[{"name":"a"}]}' csv2json.wasm`
}

// Run measures a transform.
func (c *transformBenchCmd) Run(a *app) error {
	if c.Config != "" && !json.Valid([]byte(c.Config)) {
		return wrong("--config: %s is not JSON", c.Config)
	}
	if c.Time.Std() <= 0 {
		return wrong("--time: it must be more than 0s")
	}
	j := a.begin(c.JSON, endsWork)
	defer j.status.Clear()
	r, err := workbench.Bench(j.ctx, workbench.BenchOptions{
		Transform: c.Transform, Input: c.Input, Config: c.Config, Guard: wasm.Guard(c.Guard), Time: c.Time.Std(), Progress: j.doing,
	})
	if told := j.interrupted(); told != nil {
		return told
	}
	j.status.Clear()
	if err != nil {
		return misused(err)
	}
	if c.JSON {
		return a.printJSON(r)
	}
	fmt.Fprintf(a.stdout, "%s of %.0f bytes, %.2f out for one in; %s dropped, %s failed\n",
		plural(r.Records, "record"), r.RecordBytes, r.OutPerRecord, spec.Share(r.Dropped).About(), spec.Share(r.Failed).About())
	if r.FirstFailure != "" {
		fmt.Fprintf(a.stdout, "the first failure: %s\n", r.FirstFailure)
	}
	w := a.table()
	fmt.Fprintln(w, "\tNS A RECORD\tMB/S\tFUEL A RECORD\tFUEL A BYTE")
	row(w, "transform", &r.Transform)
	row(w, "identity", &r.Identity)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "ratio %.1f; memory %s, and %s more after %s\n", r.Ratio, sizeText(r.Memory), sizeText(r.Growth), plural(r.Runs, "run"))
	if r.Allocations == nil {
		fmt.Fprintln(a.stdout, "allocations a record: the module does not tell; leat transform build makes modules that do")
	} else {
		fmt.Fprintf(a.stdout, "allocations a record: %.2f\n", *r.Allocations)
	}
	return nil
}

func row(w *tabwriter.Writer, name string, f *workbench.Figures) {
	fmt.Fprintf(w, "%s\t%.0f\t%.1f\t%s\t%s\n", name, f.NanosPerRecord, f.MBPerSecond, orDash(f.FuelPerRecord, "%.0f"), orDash(f.FuelPerByte, "%.1f"))
}
