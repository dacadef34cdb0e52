package build

import (
	"path/filepath"
	"slices"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/pipelines/feeder"
	"github.com/leatstream/leat/pipelines/spec"
)

// feeder reads the pipeline's files into its stream.
func (b *builder) feeder(s *stream.Stream) (*feeder.Feeder, error) {
	cfg, err := Feeder(b.spec)
	if err != nil {
		return nil, err
	}
	cfg.UntilIdle, cfg.MaxRecord = b.opts.UntilIdle, s.Config().MaxRecordSize
	cfg.Others = slices.DeleteFunc(delivery.Pipelines(b.opts.Data.State, s.Incarnation().String()), func(name string) bool { return name == b.spec.Name })
	f, err := feeder.New(cfg, s, b.logger().With("pipeline", b.spec.Name))
	return f, placed(b.spec.Source.PlaceOf("files"), err)
}

// Feeder is how p's files are read into a stream that takes what they hold.
func Feeder(p *spec.Pipeline) (feeder.Config, error) {
	cfg := feeder.Config{Name: p.Name, MaxRecord: largestRecord(p)}
	for i := range p.Source.Files {
		f := &p.Source.Files[i]
		path, err := filepath.Abs(f.Path)
		if err != nil {
			return cfg, placed(f.PlaceOf("path"), err)
		}
		cfg.Inputs = append(cfg.Inputs, feeder.Input{
			Paths: []string{path}, SkipLines: f.SkipLines, MaxLine: int(f.MaxLine),
			Key: feeder.Key{CSVColumn: f.Key.CSVColumn, JSON: f.Key.JSON, Constant: f.Key.Constant},
		})
	}
	return cfg, nil
}

// largestRecord is the largest record that p's stream must take, in bytes.
func largestRecord(p *spec.Pipeline) int {
	n := stream.MinRecordSize
	for i := range p.Source.Files {
		n = max(n, int(p.Source.Files[i].MaxLine))
	}
	return n
}
