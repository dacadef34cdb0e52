package build

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/s3client"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/sinks/file"
	"github.com/leatstream/leat/sinks/s3"
	"github.com/leatstream/leat/sinks/stdout"
)

// sink makes the configuration of one sink's delivery; source, chain and dead letters come later.
func (b *builder) sink(s *spec.Sink) (cfg delivery.Config, err error) {
	if cfg, err = b.form(s); err != nil {
		return cfg, err
	}
	cfg.Sink, err = b.open(destination{file: s.File, s3: s.S3, stdout: s.Stdout, prefix: s.Prefix})
	return cfg, placed(s.Place(), err)
}

// form is the configuration of a sink's delivery without the sink.
func (b *builder) form(s *spec.Sink) (cfg delivery.Config, err error) {
	cfg = delivery.Config{
		Pipeline: b.spec.Name, Name: s.Name, Extension: s.FileExtension, Open: b.reopen,
		BufferSize: int64(s.Buffer.Size), BufferInterval: time.Duration(s.Buffer.Interval), Retry: retry(&s.Retry),
		Memory: int64(s.Memory), Uploads: s.Uploads, Logger: b.opts.Logger,
	}
	if b.opts.Metrics != nil {
		cfg.Observer = b.opts.Metrics.Delivery(b.spec.Name, s.Name, kind(s))
	}
	if cfg.Layout, err = newLayout(s); err != nil {
		return cfg, err
	}
	if cfg.Format, err = codec.FormatByName(s.Format); err != nil {
		return cfg, placed(s.PlaceOf("format"), err)
	}
	if cfg.Compression, err = codec.ByName(s.Compression, s.CompressionLevel); err != nil {
		return cfg, placed(s.PlaceOf("compression"), err)
	}
	return cfg, nil
}

func kind(s *spec.Sink) string {
	switch {
	case s.File != nil:
		return "file"
	case s.S3 != nil:
		return "s3"
	}
	return "stdout"
}

// retry translates the file's notion, where 0s means one try, into the delivery's, where 0 means for ever.
func retry(r *spec.Retry) delivery.Retry {
	return delivery.Retry{For: max(time.Duration(r.For), 1), Initial: time.Duration(r.Initial), Max: time.Duration(r.Max)}
}

func newLayout(s *spec.Sink) (l *layout, err error) {
	l = &layout{}
	if len(s.Partition) > 0 {
		if l.query, err = s.Partition.Compile(); err != nil {
			return nil, placed(s.PlaceOf("partition"), err)
		}
	}
	l.prefix, err = s.CompilePrefix()
	return l, placed(s.PlaceOf("prefix"), err)
}

// destination is one of the kinds of sink; the others are nil.
type destination struct {
	file   *spec.File
	s3     *spec.S3
	stdout *spec.Stdout
	prefix string // of the keys
}

func s3Config(d *spec.S3) s3.Config {
	return s3.Config{
		Endpoint: d.Endpoint, Bucket: d.Bucket, Region: d.Region, CAFile: d.CAFile,
		MultipartThreshold: int64(d.MultipartThreshold), PartSize: int64(d.PartSize), StorageClass: d.StorageClass,
		Addressing: s3client.Addressing(d.PathStyle), Credentials: s3client.Given(d.Credentials),
	}
}

func (b *builder) open(d destination) (sink delivery.Sink, err error) {
	switch {
	case d.file != nil:
		sink, err = file.New(file.Config{Dir: d.file.Dir})
	case d.s3 != nil:
		cfg := s3Config(d.s3)
		cfg.KeyPrefix, _, _ = strings.Cut(d.prefix, "!{") // the part that does not change
		sink, err = s3.New(cfg)
	default:
		sink = stdout.New(stdout.Config{Writer: b.opts.Stdout})
	}
	if err != nil {
		return nil, err
	}
	b.closers = append(b.closers, sink.Close)
	return sink, nil
}

// deadLetters opens the place for dead letters; by default a folder in the data directory.
func (b *builder) deadLetters() (dead delivery.DeadLetters, err error) {
	d := b.spec.DeadLetters
	if d == nil {
		dead.Sink, err = b.open(destination{file: &spec.File{Dir: b.opts.Data.DeadLetters(b.spec.Name)}})
		dead.Prefix = func(errorType string, _ time.Time) (string, error) { return errorType + "/", nil }
		dead.Compression, _ = codec.ByName("none", 0)
		return dead, err
	}
	if dead.Sink, err = b.open(destination{file: d.File, s3: d.S3, prefix: d.Prefix}); err != nil {
		return dead, placed(d.Place(), err)
	}
	if dead.Compression, err = codec.ByName(d.Compression, d.CompressionLevel); err != nil {
		return dead, placed(d.PlaceOf("compression"), err)
	}
	template, err := d.CompilePrefix()
	if err != nil {
		return dead, placed(d.PlaceOf("prefix"), err)
	}
	dead.Prefix = func(errorType string, at time.Time) (string, error) { return template.Key(nil, at, errorType) }
	return dead, nil
}

// reopen opens a sink for a destination that was configured when an object was sealed. Credentials are those that the file has
// for the same store, else the environment's.
func (b *builder) reopen(d delivery.Destination) (delivery.Sink, error) {
	switch d.Kind {
	case "file":
		var cfg file.Config
		if err := json.Unmarshal(d.Config, &cfg); err != nil {
			return nil, err
		}
		return file.New(cfg)
	case "s3":
		var cfg s3.Config
		if err := json.Unmarshal(d.Config, &cfg); err != nil {
			return nil, err
		}
		var stores []*spec.S3
		for i := range b.spec.Sinks {
			stores = append(stores, b.spec.Sinks[i].S3)
		}
		if dead := b.spec.DeadLetters; dead != nil {
			stores = append(stores, dead.S3)
		}
		for _, d := range stores {
			if d == nil {
				continue
			}
			if have := s3Config(d); have.URL() == cfg.URL() {
				cfg.Credentials = have.Credentials
			}
		}
		return s3.New(cfg)
	case "stdout":
		return stdout.New(stdout.Config{Writer: b.opts.Stdout}), nil
	}
	return nil, fault.New(fault.Permanent, "build.unknown_sink", "this leat has no sink of kind %q", d.Kind)
}
