// Package benchkinesis measures a Kinesis Data Streams API over HTTP as clients see it, and next to a bare program that does
// the least to the same bytes, in the same run on the same machine.
//
//	put-records  500 records of 1 KiB a request, 8 connections
//	put-record   1 KiB a request, 64 connections
//	get-records  all shards from their beginning, 4 connections, as often as the time allows
//	subscribe    10 consumers follow one shard that a record of 1 KiB is put into every 10 ms; latency is from the ack
//
// Requests of puts are encoded and signed before the clock starts, and sent again and again; the same client measures all
// programs, which take turns figure by figure. After each round everything is read back and compared: each record as often
// as it was acked, whole, in order and under the sequence number it was acked with.
package benchkinesis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// MaxTime is the longest that a program is measured at a time: signatures are good for 5 minutes.
const MaxTime = 2 * time.Minute

// Options says what is measured.
type Options struct {
	// Endpoint is the URL of the API. Empty: leat is started for the benchmark, with limits off.
	Endpoint string
	// Compare measures the bare program too. Without an endpoint it always is.
	Compare bool
	// Peers are other programs to measure: "kinesalite" is installed with npm below the user's cache folder, once.
	Peers []string
	// Credentials and Region sign the requests.
	Credentials
	Region string
	// NoVerify takes any certificate of an https endpoint.
	NoVerify bool
	// Stream is the name of the stream that is made for each round, and deleted.
	Stream string
	// Shards it has, at least 1.
	Shards int
	// Time of a program for each figure, up to MaxTime.
	Time time.Duration
	// Rounds is how often everything is measured; the result is the median.
	Rounds int
	// Only names the figures to measure; none is all of them.
	Only []string
	// Dir is a folder on the disk to measure; a folder is made in it and removed at the end.
	Dir string
	// Leat makes a command that runs leat with these arguments; nil: this program.
	Leat func(args ...string) *exec.Cmd
	// Progress is told what goes on; nil: nobody is.
	Progress func(what string)
}

// Row is what a figure is for a program: the medians of the rounds, and the latencies of all.
type Row struct {
	Figure  string `json:"figure"`
	Program string `json:"program"`
	// Records is records a second; those of subscribe are counted at each of the subscribers.
	Records float64 `json:"records_per_s"`
	// MB is 10^6 bytes of record data a second.
	MB float64 `json:"mb_per_s"`
	// OfBare is the median of what the rounds' rates are of the bare program's; 0 without one.
	OfBare float64       `json:"of_bare"`
	P50    time.Duration `json:"p50_ns"`
	P99    time.Duration `json:"p99_ns"`
	P999   time.Duration `json:"p999_ns"`
	// Throttled is how many records, or reads, were refused for their rate.
	Throttled int64 `json:"throttled"`
}

type figure struct {
	name string
	puts bool // the bare program has it
	run  func(p *program, ctx context.Context, d time.Duration) (sample, error)
}

var figures = []figure{
	{"put-records", true, (*program).putRecords},
	{"put-record", true, (*program).putRecord},
	{"get-records", false, (*program).getRecords},
	{"subscribe", false, (*program).subscribe},
}

// Names lists the figures.
func Names() (names []string) {
	for _, f := range figures {
		names = append(names, f.name)
	}
	return names
}

// check finds what cannot be measured, and sets defaults.
func (o *Options) check() error {
	wrong := func(format string, args ...any) error {
		return fault.New(fault.Permanent, "bench.options", format, args...)
	}
	switch {
	case o.Shards < 1 || o.Shards > 10_000:
		return wrong("a stream of %d shards cannot be measured: want 1 to 10000", o.Shards)
	case o.Time <= 0 || o.Time > MaxTime:
		return wrong("a figure cannot be measured for %v: want up to %v, for signatures are good for 5 minutes", o.Time, MaxTime)
	case o.Rounds < 1:
		return wrong("%d rounds measure nothing: want at least 1", o.Rounds)
	}
	for _, name := range o.Only {
		if !slices.Contains(Names(), name) {
			return wrong("no figure is called %q; there are %v", name, Names())
		}
	}
	for _, name := range o.Peers {
		if name != "kinesalite" {
			return wrong("no peer is called %q; there is kinesalite", name)
		}
	}
	if len(o.Only) > 0 && !slices.Contains(o.Only, "put-records") && slices.Contains(o.Only, "get-records") {
		return wrong("get-records reads what put-records has put: measure both")
	}
	if o.AccessKey == "" {
		o.AccessKey, o.Secret = "bench", "bench" // leat and kinesalite take any
	}
	if o.Leat == nil {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		o.Leat = func(args ...string) *exec.Cmd { return exec.Command(self, args...) }
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return nil
}

// Run measures and returns a row for each figure and program, figures first.
func Run(ctx context.Context, o Options) (_ []Row, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "leat-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	programs, err := o.programs(ctx, dir)
	defer func() {
		for _, p := range programs {
			if p.stop == nil {
				continue
			}
			if p.stop(); err != nil && ctx.Err() == nil && p.said.String() != "" {
				err = errors.Join(err, fmt.Errorf("%s has printed: %s", p.name, p.said))
			}
		}
	}()
	if err != nil {
		return nil, err
	}
	got := results{}
	for round := range o.Rounds {
		if err := o.round(ctx, round, programs, got); err != nil {
			return nil, err
		}
	}
	return got.rows(programs), nil
}

// results are the samples of the rounds, by figure and program.
type results map[[2]string][]sample

// round measures every figure with every program, and verifies.
func (o *Options) round(ctx context.Context, round int, programs []*program, got results) (err error) {
	for _, p := range programs {
		p.acked, p.named = make([]uint32, lastRecord), map[string]uint32{}
		if p.bare {
			continue
		}
		o.Progress(fmt.Sprintf("round %d: %s: create the stream", round+1, p.name))
		if err := p.create(ctx, o.Shards); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.remove(ctx)) }()
	}
	for _, f := range figures {
		if len(o.Only) > 0 && !slices.Contains(o.Only, f.name) {
			continue
		}
		for i := range programs {
			p := programs[(i+round)%len(programs)] // none always has the warm machine
			if p.bare && !f.puts {
				continue
			}
			o.Progress(fmt.Sprintf("round %d: %s: %s", round+1, p.name, f.name))
			s, err := f.run(p, ctx, o.Time)
			if errors.Is(err, errNotOffered) {
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %s: %w", p.name, f.name, err)
			}
			got[[2]string{f.name, p.name}] = append(got[[2]string{f.name, p.name}], s)
		}
	}
	for _, p := range programs {
		if p.bare {
			continue
		}
		o.Progress(fmt.Sprintf("round %d: %s: read everything back", round+1, p.name))
		if err := p.verify(ctx); err != nil {
			return fault.New(fault.Permanent, "bench.verify", "%s: what was put is not what is there: %w", p.name, err)
		}
	}
	return nil
}

func (s sample) rate() float64 { return float64(s.records) / s.took.Seconds() }

func (r results) rows(programs []*program) (rows []Row) {
	for _, f := range figures {
		bare := r[[2]string{f.name, "bare"}]
		for _, p := range programs {
			samples := r[[2]string{f.name, p.name}]
			if len(samples) == 0 {
				continue
			}
			var rates, ratios []float64
			var latencies []time.Duration
			row := Row{Figure: f.name, Program: p.name}
			for i, s := range samples {
				rates = append(rates, s.rate())
				if !p.bare && i < len(bare) {
					ratios = append(ratios, s.rate()/bare[i].rate())
				}
				latencies = append(latencies, s.latencies...)
				row.Throttled += s.throttled
			}
			row.Records, row.OfBare = median(rates), median(ratios)
			row.MB = row.Records * recordSize / 1e6
			slices.Sort(latencies)
			row.P50, row.P99, row.P999 = quantile(latencies, 0.5), quantile(latencies, 0.99), quantile(latencies, 0.999)
			rows = append(rows, row)
		}
	}
	return rows
}

func median(v []float64) float64 {
	slices.Sort(v)
	return quantile(v, 0.5)
}

// quantile of sorted values; 0 if there are none.
func quantile[T cmp.Ordered](sorted []T, q float64) (zero T) {
	if len(sorted) == 0 {
		return zero
	}
	return sorted[min(int(float64(len(sorted))*q), len(sorted)-1)]
}
