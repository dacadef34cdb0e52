package lambda

import (
	"context"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// once runs a program for each event.
type once struct {
	program  program
	timeout  time.Duration
	failures *fault.Complaints
}

func (o *once) ask(ctx context.Context, e *event, use func([]byte) error) (err error) {
	p, err := o.program.start(ctx)
	if err != nil {
		return err
	}
	r := begin(p)
	stop := r.watch(ctx)
	defer stop()
	r.send(e.text, true)
	defer func() {
		p.kill()
		<-p.done()
		<-r.sent
		p.stderr().End(err, o.failures.Recent())
	}()
	if err := e.read(p); err != nil {
		return r.failure(ctx, err, o.timeout, Once)
	}
	select {
	case <-p.done():
	case <-time.After(endGrace): // its output is complete
		p.kill()
		<-p.done()
		return use(e.response)
	}
	if _, success := p.end(); !success || len(e.response) == 0 {
		return r.failure(ctx, nil, o.timeout, Once)
	}
	return use(e.response)
}

func (o *once) close(ctx context.Context) error { return o.program.close(ctx) }
