// Package diskbench measures the embedded log against bare programs that do the same i/o and nothing else, in the same run
// on the same disk. Ratios travel between machines, absolute figures do not.
package diskbench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/leatstream/leat/core/vfs"
)

// Options says what to measure.
type Options struct {
	// Dir is where the logs are written, in folders of their own that are removed afterwards.
	Dir string
	// Round is how long each side of a figure runs at a time; 0: 2 s.
	Round time.Duration
	// Rounds is how often the two sides take turns; the median counts. 0: 3.
	Rounds int
	// OpenBytes is the size of the log whose opening is measured; 0 leaves that out.
	OpenBytes int64
	// Only names the figures to measure; none is all of them.
	Only []string
	// Progress is told the name of each figure before it is measured; may be nil.
	Progress func(name string)

	readBytes int64 // how much is written to be read back; 0: 512 MiB
}

// Row is one figure.
type Row struct {
	Name  string  `json:"name"`
	Leat  float64 `json:"leat"`  // of the log
	Bare  float64 `json:"bare"`  // of the bare program; 0 if there is none
	Ratio float64 `json:"ratio"` // Leat / Bare; 0 without a bare program
	Unit  string  `json:"unit"`
	// P50 and P99 are latencies of the log's acks, or what the figure is about; 0 where there are none.
	P50 time.Duration `json:"p50"`
	P99 time.Duration `json:"p99"`
}

// figure is one thing to measure. It runs both sides.
type figure struct {
	name string
	run  func(ctx context.Context, b *bench) (Row, error)
}

var figures = []figure{
	{"append-512k", appendBatches},
	{"ack-1k", appendSingles},
	{"spread-256", appendSpread},
	{"tail", tailLatency},
	{"read-shard", readShard},
	{"scan", scanAll},
	{"open-clean", openClean},
	{"open-killed", openKilled},
}

// Names lists the figures.
func Names() []string {
	var out []string
	for _, f := range figures {
		out = append(out, f.name)
	}
	return out
}

type bench struct {
	Options
	fs vfs.FS
}

// Run measures and returns a row for each figure, in the order of Names. It stops at the first error.
func Run(ctx context.Context, o Options) ([]Row, error) {
	if o.Round <= 0 {
		o.Round = 2 * time.Second
	}
	if o.Rounds <= 0 {
		o.Rounds = 3
	}
	if o.readBytes <= 0 {
		o.readBytes = 512 * mib
	}
	for _, name := range o.Only {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("bench log: no figure is called %q; there are %v", name, Names())
		}
	}
	b := &bench{Options: o, fs: vfs.OS()}
	var rows []Row
	for _, f := range figures {
		skip := len(o.Only) > 0 && !slices.Contains(o.Only, f.name)
		if skip || o.OpenBytes == 0 && (f.name == "open-clean" || f.name == "open-killed") {
			continue
		}
		if o.Progress != nil {
			o.Progress(f.name)
		}
		row, err := f.run(ctx, b)
		if err != nil {
			return rows, fmt.Errorf("bench log: %s: %w", f.name, err)
		}
		row.Name = f.name
		if row.Bare > 0 {
			row.Ratio = row.Leat / row.Bare
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// folder makes an empty folder for one side of a figure.
func (b *bench) folder(name string) (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp(b.Dir, "bench-"+name+"-")
	if err != nil {
		return "", nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", nil, err
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// side is a measured program: it runs for a time and returns its rate and latencies.
type side func(ctx context.Context, dir string, d time.Duration) (rate float64, lat []time.Duration, err error)

// compare lets two sides take turns and returns the medians of their rates, and the latencies of the first.
func (b *bench) compare(ctx context.Context, unit string, leat, bare side) (Row, error) {
	var rates [2][]float64
	var lats []time.Duration
	for range b.Rounds {
		for i, s := range []side{leat, bare} {
			if s == nil {
				continue
			}
			dir, remove, err := b.folder("log")
			if err != nil {
				return Row{}, err
			}
			rate, lat, err := s(ctx, dir, b.Round)
			remove()
			if err != nil {
				return Row{}, err
			}
			rates[i] = append(rates[i], rate)
			if i == 0 {
				lats = append(lats, lat...)
			}
		}
	}
	row := Row{Unit: unit, Leat: median(rates[0])}
	if bare != nil {
		row.Bare = median(rates[1])
	}
	row.P50, row.P99 = percentile(lats, 50), percentile(lats, 99)
	return row, nil
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func percentile(v []time.Duration, p int) time.Duration {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[min(len(v)*p/100, len(v)-1)]
}
