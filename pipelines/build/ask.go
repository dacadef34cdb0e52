package build

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/fault"
)

// These bound how long a destination is asked: where its answer decides, and where nothing is lost if it comes too late, and a start
// waits for it.
const (
	probeTimeout = 15 * time.Second
	startTimeout = 5 * time.Second
)

// probe checks what a run would need, without a stream.
func (b *builder) probe() (err error) {
	defer func() { err = errors.Join(err, b.close(context.WithoutCancel(b.ctx))) }()
	links, err := b.links()
	if err == nil {
		err = b.shadows(links)
	}
	if err != nil {
		return err
	}
	var asked inquiry
	if d := b.spec.DeadLetters; d != nil {
		dead, err := b.deadLetters()
		if err != nil {
			return err
		}
		asked.add(dead.Sink, d.Place())
	}
	for i := range b.spec.Sinks {
		s := &b.spec.Sinks[i]
		cfg, err := b.sink(s)
		if err != nil {
			return err
		}
		asked.add(cfg.Sink, s.Place())
	}
	if !b.opts.Connect {
		return nil
	}
	return errors.Join(asked.answers(b.ctx, probeTimeout)...)
}

// Ran reports whether the pipeline has been run on the data directory. Then it has a position in a stream, and only a pipeline that
// runs keeps what comes after it from expiring.
func (p *Prepared) Ran() bool {
	return len(delivery.List(p.builder.opts.Data.State, p.builder.spec.Name)) > 0
}

// Ask checks that deliveries to the destinations that the version that runs does not have would work, before it gives way: what
// is sealed for a destination stays bound for it, whatever the file says later. If none runs (nil), a destination that does not answer
// holds nothing up, for it may later: that is logged, and the error is about those that refuse.
func (p *Prepared) Ask(ctx context.Context, running *engine.Pipeline) error {
	asked, within := inquiry{}, startTimeout
	if running != nil {
		within = probeTimeout
		for i := range running.Deliveries {
			asked.known(running.Deliveries[i].Sink)
			asked.known(running.Deliveries[i].DeadLetters.Sink)
		}
	}
	b := p.builder
	for i := range p.pipeline.Deliveries {
		asked.add(p.pipeline.Deliveries[i].Sink, b.spec.Sinks[i].Place())
	}
	if d := b.spec.DeadLetters; d != nil {
		asked.add(p.pipeline.Deliveries[0].DeadLetters.Sink, d.Place())
	}
	if b.opts.Progress != nil && len(asked.of) > 0 {
		b.opts.Progress("asking the destinations of " + b.spec.Name)
	}
	errs := asked.answers(ctx, within)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for i, err := range errs {
		if class := fault.ClassOf(err); err != nil && running == nil && class != fault.Unauthorized && class != fault.Permanent {
			b.logger().Warn("a destination does not answer yet", "pipeline", b.spec.Name, "class", class, "code", fault.CodeOf(err), "error", err)
			errs[i] = nil
		}
	}
	return errors.Join(errs...)
}

// inquiry is some destinations to ask, each once. The zero value is ready.
type inquiry struct {
	of    []inquired
	names map[string]bool
}

type inquired struct {
	prober delivery.Prober
	place  string // in the file
}

// known notes that a sink's destination need not be asked. It reports whether that is new.
func (q *inquiry) known(sink delivery.Sink) bool {
	d, ok := sink.(delivery.Destiner)
	if !ok {
		return true
	}
	to := d.Destination()
	name := to.Kind + " " + string(to.Config)
	if q.names[name] {
		return false
	}
	if q.names == nil {
		q.names = map[string]bool{}
	}
	q.names[name] = true
	return true
}

// add adds a sink's destination, unless it is known or cannot be asked.
func (q *inquiry) add(sink delivery.Sink, place string) {
	if prober, ok := sink.(delivery.Prober); ok && q.known(sink) {
		q.of = append(q.of, inquired{prober, place})
	}
}

// answers asks all destinations at a time, for so long at most, and returns what each says.
func (q *inquiry) answers(ctx context.Context, within time.Duration) []error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	errs := make([]error, len(q.of))
	var asking sync.WaitGroup
	for i, of := range q.of {
		asking.Go(func() { errs[i] = placed(of.place, of.prober.Probe(ctx)) })
	}
	asking.Wait()
	return errs
}
