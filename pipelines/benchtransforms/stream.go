package benchtransforms

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/leatstream/leat/pipelines/benchpipe"
)

// stream: lines of a file -> stream -> filter -> gzip level 1 -> files, with one line in 500 that breaks its call.
func (b *bench) stream(ctx context.Context) error {
	inputs, lines := make([]string, 2), uint64(0)
	for i, poison := range []bool{false, true} {
		inputs[i] = filepath.Join(b.dir, fmt.Sprintf("input-%v.txt", poison))
		var err error
		if lines, err = writeLines(inputs[i], b.Size, poison); err != nil {
			return err
		}
	}
	modules := []string{"filter", "batch", "c"}
	times := map[string]*[2][]float64{}
	for _, module := range modules {
		times[module] = new([2][]float64)
	}
	for round := range b.Rounds {
		for _, module := range modules {
			for i, poison := range []bool{false, true} {
				b.Progress(fmt.Sprintf("measuring stream: round %d, %s, poison %v", round+1, module, poison))
				took, err := b.pipeline(ctx, filepath.Join(b.dir, "stream"), b.modules[module], inputs[i], lines, poison)
				if err != nil {
					return err
				}
				times[module][i] = append(times[module][i], float64(took.Nanoseconds())/float64(lines))
			}
		}
	}
	for _, module := range modules {
		clean, poisoned := times[module][0], times[module][1]
		r := ratio(clean, poisoned)
		b.rows = append(b.rows, Row{
			Figure: "stream", Module: label(module, "metered"), Value: 1e9 / median(poisoned), Unit: "records/s",
			Against: "no poison", Bare: 1e9 / median(clean), Ratio: r, Target: "ratio 0.5", Met: r >= 0.5,
		})
	}
	return nil
}

// writeLines writes a file of about size bytes and returns the number of its lines.
func writeLines(path string, size int64, poison bool) (lines uint64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for n := int64(0); n < size; lines++ {
		line := benchpipe.LogLine(lines)
		n += int64(len(line)) // of both files, so that they have as many lines
		if poison && lines%perCall == perCall/2 {
			line = []byte(poisonous + "\n")
		}
		if _, err := w.Write(line); err != nil {
			return 0, errors.Join(err, f.Close())
		}
	}
	return lines, errors.Join(w.Flush(), f.Close())
}

// pipeline runs a pipeline in dir, which it removes, checks its counts and returns how long it took.
func (b *bench) pipeline(ctx context.Context, dir, module, input string, lines uint64, poison bool) (took time.Duration, err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	text := fmt.Sprintf(`version: 1
pipeline: bench
source:
  stream: { name: bench, shards: 4 }
  files: [ { path: %q } ]
transforms:
  - { name: filter, wasm: { module: %q } }
sinks:
  - { name: out, file: { dir: %q }, prefix: "!{timestamp:yyyy}/", format: lines, compression: gzip, compression_level: 1 }
dead_letters: { file: { dir: %q } }
`, input, module, filepath.Join(dir, "out"), filepath.Join(dir, "dead"))
	took, counts, err := benchpipe.Drain(ctx, text, filepath.Join(dir, "data"))
	if err != nil {
		return 0, err
	}
	dead := uint64(0)
	if poison {
		dead = (lines + perCall/2 - 1) / perCall
	}
	if counts.In != lines || counts.Dead != dead || counts.Pending != 0 {
		return 0, fmt.Errorf("the pipeline counts %+v; want %d lines, of which %d are dead", counts, lines, dead)
	}
	return took, nil
}
