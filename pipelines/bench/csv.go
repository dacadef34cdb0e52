package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/leatstream/leat/core/datadir"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
)

// csvConfig names the columns of the birdstrikes data.
const csvConfig = `{ columns: [ {name: airport_name}, {name: aircraft_model}, {name: effect_amount_of_damage}, {name: flight_date, type: date},
      {name: operator}, {name: origin_state}, {name: phase_of_flight}, {name: wildlife_size}, {name: wildlife_species}, {name: time_of_day},
      {name: cost_other, type: integer}, {name: cost_repair, type: integer}, {name: cost_total, type: integer}, {name: speed_ias_knots, type: integer} ] }`

// csv measures the pipeline with a transform that works: rows of CSV, repeated to the size of the input, become JSON.
func (b *bench) csv(module, csv string) (Row, error) {
	row := Row{Name: "whole pipeline, CSV to JSON", Note: "rows of CSV, csv2json, gzip 1, file sink; MB/s of CSV"}
	rows, err := os.ReadFile(csv)
	if err != nil {
		return row, fault.New(fault.Permanent, "bench.no_csv", "read the CSV: %w", err).WithHint("run it in leat's source folder, or name the example's folder")
	}
	if module, err = filepath.Abs(module); err != nil {
		return row, err
	}
	_, rows, _ = bytes.Cut(rows, []byte("\n")) // without the header
	rows = append(bytes.TrimRight(rows, "\n"), '\n')
	input := filepath.Join(b.work, "input.csv")
	f, err := os.Create(input)
	if err != nil {
		return row, err
	}
	size := int64(0)
	for size < b.Size && err == nil {
		var n int
		n, err = f.Write(rows)
		size += int64(n)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return row, err
	}
	var rates []float64
	for round := range b.Rounds {
		b.Progress(fmt.Sprintf("CSV to JSON, round %d of %d", round+1, b.Rounds))
		dir := filepath.Join(b.work, fmt.Sprint("csv", round))
		data, err := datadir.Open(vfs.OS(), filepath.Join(dir, "data"), nil)
		if err != nil {
			return row, err
		}
		feed := fmt.Sprintf("  files: [ { path: %q, key: { csv_column: 5 } } ]", input)
		took, err := b.run(data, pipelineFile("csv", feed, module, csvConfig, "json_lines", filepath.Join(dir, "out")))
		if cerr := data.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return row, err
		}
		rates = append(rates, float64(size)/1e6/took.Seconds())
		if err := os.RemoveAll(dir); err != nil {
			return row, err
		}
	}
	row.Leat = median(rates)
	return row, nil
}
