// Package benchtransforms measures WebAssembly transforms, each figure next to what it is a part of or stands for, in the
// same run on the same machine: take the ratios.
//
//	crossing   500 records of 16 bytes a call, kept: what a record costs between host and module and back
//	identity   500 records of 1 KiB a call, kept; against laying out and writing the frame and reading the answer natively
//	filter     JSON log lines of which those of one level are kept; against the same source as native code
//	guards     the same filters without a guard, metered, and interrupted
//	chain      eight stages that keep every record, against one
//	poison     one record in 500 that ends or traps the module, against none: a chain on all cores
//	stream     the same through a whole pipeline, from a file to gzipped files
//	cold-start a new process that opens a module of Go, compiled before, and transforms a record
//
// Modules are: min, the smallest there can be; go, a few lines of Go through the SDK; batch, the same batch by batch, so that
// it has no cursor; and c, the same in C, whose module is part of this program. Those of Go are built, once, with the go
// command.
package benchtransforms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// Options says what is measured.
type Options struct {
	// Time that each side of a figure runs in a round.
	Time time.Duration
	// Rounds is how often the sides take turns, at least 1; the medians count.
	Rounds int
	// Only names the figures to measure; none is all of them.
	Only []string
	// Dir is a folder for what the figure stream stores, below which a folder is made and removed at the end.
	Dir string
	// Size is how many bytes of lines the figure stream reads; 0 is 64 MiB.
	Size int64
	// Cold makes the command that runs [ColdStart] with a module's path, empty for none; nil: this program's hidden command.
	Cold func(ctx context.Context, module string) *exec.Cmd
	// Progress is told what goes on; nil: nobody is.
	Progress func(what string)
}

// Row is one comparison: medians of the rounds.
type Row struct {
	Figure string `json:"figure"`
	// Module and how it runs.
	Module string  `json:"module"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	// Against is what Bare, in the same unit, is of; empty without.
	Against string  `json:"against,omitempty"`
	Bare    float64 `json:"bare,omitempty"`
	// Ratio is the median of what the rounds' values are of Bare, or Bare of them: more is better, but for chain.
	Ratio float64 `json:"ratio,omitempty"`
	// Target is what the figure should be, as text; empty without. Met tells whether it is.
	Target string `json:"target,omitempty"`
	Met    bool   `json:"met"`
}

// Figures are the names for Options.Only, in their order.
var Figures = []string{"crossing", "identity", "filter", "guards", "chain", "poison", "stream", "cold-start"}

// bench is one run.
type bench struct {
	Options
	dir     string
	modules modules
	rows    []Row
}

// Run measures.
func Run(ctx context.Context, o Options) (_ []Row, err error) {
	for _, name := range o.Only {
		if !slices.Contains(Figures, name) {
			return nil, fault.New(fault.Permanent, "bench.options", "there is no figure %q: want %s", name, strings.Join(Figures, ", "))
		}
	}
	b := &bench{Options: o}
	b.Time, b.Rounds, b.Size = cmp.Or(b.Time, 500*time.Millisecond), max(b.Rounds, 1), cmp.Or(b.Size, 64<<20)
	if b.Progress == nil {
		b.Progress = func(string) {}
	}
	if b.Cold == nil {
		b.Cold = coldCommand
	}
	if b.dir, err = os.MkdirTemp(o.Dir, "leat-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := b.modules.prepare(ctx, b.dir, b.Progress); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name    string
		measure func(context.Context) error
	}{
		{"crossing", b.crossing}, {"identity", b.identity}, {"filter", b.filter}, {"guards", b.guards}, {"chain", b.chain},
		{"poison", b.poison}, {"stream", b.stream}, {"cold-start", b.coldStart},
	} {
		if len(o.Only) > 0 && !slices.Contains(o.Only, f.name) {
			continue
		}
		b.Progress("measuring " + f.name)
		if err := f.measure(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return b.rows, nil
}

// Missed returns an error that names the targets which were missed.
func Missed(rows []Row) error {
	var missed []string
	for _, r := range rows {
		if r.Target != "" && !r.Met {
			missed = append(missed, fmt.Sprintf("%s of %s is %.3g %s, ratio %.2f, want %s", r.Figure, r.Module, r.Value, r.Unit, r.Ratio, r.Target))
		}
	}
	if missed == nil {
		return nil
	}
	return fault.New(fault.Permanent, "bench.target_missed", "%s", strings.Join(missed, "; "))
}

// side is one of the things that take turns.
type side struct {
	// records of one op.
	records int
	op      func() error
}

// takeTurns returns for each side the nanoseconds a record of each round.
func (b *bench) takeTurns(ctx context.Context, sides ...side) ([][]float64, error) {
	times := make([][]float64, len(sides))
	for _, s := range sides { // warm caches, pools and branch predictors
		if err := s.op(); err != nil {
			return nil, err
		}
	}
	for range b.Rounds {
		for i, s := range sides {
			began, ops := time.Now(), 0
			for ; time.Since(began) < b.Time; ops++ {
				if err := ctx.Err(); err != nil {
					return nil, context.Cause(ctx)
				}
				if err := s.op(); err != nil {
					return nil, err
				}
			}
			times[i] = append(times[i], float64(time.Since(began).Nanoseconds())/float64(ops)/float64(s.records))
		}
	}
	return times, nil
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

// ratio is the median of what a is of b, round by round.
func ratio(a, b []float64) float64 {
	each := make([]float64, len(a))
	for i := range a {
		each[i] = a[i] / b[i]
	}
	return median(each)
}
