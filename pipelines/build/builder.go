package build

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/pipelines/spec"
)

// builder makes one pipeline. What it has opened is closed by close, whether or not the pipeline came to be.
type builder struct {
	ctx  context.Context
	spec *spec.Pipeline
	opts Options

	closers []func(context.Context) error
	stages  []stage.Link // those of the file, watched for failures
	// number renders sequence numbers once the pipeline is attached to its stream; nil before.
	number func(*record.Record) string
}

func (b *builder) close(ctx context.Context) error {
	var errs []error
	for i := len(b.closers) - 1; i >= 0; i-- {
		errs = append(errs, b.closers[i](ctx))
	}
	b.closers = nil
	return errors.Join(errs...)
}

func (b *builder) logger() *slog.Logger {
	if b.opts.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return b.opts.Logger
}

// prepare opens what can fail for a reason in the file: modules, expressions, sinks. It touches no stream.
func (b *builder) prepare() (p *engine.Pipeline, err error) {
	links, err := b.links()
	if err != nil {
		return nil, err
	}
	b.tolerate(links)
	b.stages = links
	if err := b.shadows(links); err != nil {
		return nil, err
	}
	dead, err := b.deadLetters()
	if err != nil {
		return nil, err
	}
	p = &engine.Pipeline{Name: b.spec.Name, Close: b.close}
	for i := range b.spec.Sinks {
		cfg, err := b.sink(&b.spec.Sinks[i])
		if err != nil {
			return nil, err
		}
		cfg.DeadLetters = dead
		if cfg.Chain, err = b.chainOf(i, links); err != nil {
			return nil, err
		}
		p.Deliveries = append(p.Deliveries, cfg)
	}
	return p, nil
}

// attach ties what is open to its stream.
func (b *builder) attach(p *engine.Pipeline) error {
	source, err := b.stream()
	if err != nil {
		return err
	}
	b.watchStages()
	b.number = numbered(source)
	from := delivery.From{Latest: b.spec.Source.From.Kind == spec.FromLatest, At: b.spec.Source.From.At}
	for i := range p.Deliveries {
		cfg := &p.Deliveries[i]
		cfg.From = from
		cfg.Source = delivery.Source{
			Name: source.Name(), Incarnation: source.Incarnation().String(), SequenceNumber: b.number,
			Log: endsWithStream{observe.MeasureReads(source.Log(), b.opts.Metrics.Reader(source.Name(), b.spec.Name+"/"+cfg.Name)), source},
		}
		cfg.FS, cfg.State = b.opts.Data.FS, b.opts.Data.State
		cfg.Spool = b.opts.Data.Spool(b.spec.Name, cfg.Name, cfg.Source.Incarnation)
	}
	if len(b.spec.Source.Files) > 0 {
		f, err := b.feeder(source)
		if err != nil {
			return err
		}
		p.Feeders = append(p.Feeders, f)
	}
	if err := b.removed(source); err != nil {
		return err
	}
	return nil
}

// numbered renders sequence numbers as the stream's API does.
func numbered(s *stream.Stream) func(r *record.Record) string {
	return func(r *record.Record) string {
		n, err := s.SequenceNumber(r)
		if err != nil { // the shard has expired since
			return ""
		}
		return n.String()
	}
}

// stream returns the pipeline's stream, and creates it if it is missing. Retention and limits follow the file; the number
// of shards is the stream's own once it exists.
func (b *builder) stream() (*stream.Stream, error) {
	want := &b.spec.Source.Stream
	cfg := stream.Config{Shards: want.Shards, Mode: stream.Provisioned, Retention: retention(want)}
	if want.Mode == "on-demand" {
		cfg.Mode, cfg.Shards = stream.OnDemand, 0
	}
	if want.Limits != nil {
		cfg.WriteLimit = stream.WriteLimit{
			BytesPerSecond: int(want.Limits.BytesPerSecond), RecordsPerSecond: want.Limits.RecordsPerSecond,
		}
	}
	cfg.MaxRecordSize = largestRecord(b.spec)
	s, err := b.opts.Data.Streams.Get(want.Name)
	if err == nil {
		err := s.Update(b.ctx, func(c *stream.Config) error {
			if want.Has("retention") {
				c.Retention = cfg.Retention
			}
			if want.Has("limits") {
				c.WriteLimit = cfg.WriteLimit
			}
			c.MaxRecordSize = max(c.MaxRecordSize, cfg.MaxRecordSize)
			return nil
		})
		if want.Has("shards") && want.Shards != s.Config().Shards {
			b.logger().Warn("the stream exists with another number of shards; split or merge them to change it",
				"stream", want.Name, "file", want.Shards, "created_with", s.Config().Shards)
		}
		return s, placedIfWrong(want.Place(), err)
	}
	if fault.CodeOf(err) != "stream.not_found" {
		return nil, err
	}
	s, err = b.opts.Data.Streams.Create(b.ctx, want.Name, cfg)
	return s, placedIfWrong(want.Place(), err)
}

// placedIfWrong places an error about what the file asks of a stream, and no error of the disk or of the data directory.
func placedIfWrong(place string, err error) error {
	switch fault.CodeOf(err) {
	case "stream.invalid_name", "stream.invalid_config", "stream.too_many_shards":
		return placed(place, err)
	}
	return err
}

// retention of a stream that a pipeline owns: a hold keeps what is delivered for a day, to replay, unless its size is
// needed before.
func retention(s *spec.Stream) shardlog.Retention {
	r := shardlog.Retention{Age: time.Duration(s.Retention.Age), Hold: int64(s.Retention.Hold)}
	if r.Hold > 0 && r.Age == 0 {
		r.Age = stream.MinRetention
	}
	return r
}

// placed gives an error the place in the file that it is about, unless it has one.
func placed(place string, err error) error {
	if err == nil {
		return nil
	}
	var e *fault.Error
	if !errors.As(err, &e) {
		return fault.New(fault.Retryable, "build.failed", "%w", err).At(place)
	}
	if e.Place != "" {
		return err
	}
	with := *e
	with.Place = place
	return &with
}
