package lambda

import (
	"context"
	"errors"
	"io"
	"time"
)

// once runs a program for each event.
type once struct {
	program program
	timeout time.Duration
}

func (o *once) ask(ctx context.Context, e *event, use func([]byte) error) error {
	p, err := o.program.start(ctx)
	if err != nil {
		return err
	}
	r := &run{process: p}
	stop := r.watch(ctx)
	defer stop()
	r.send(e.text, true)
	defer func() {
		p.kill()
		<-p.done()
		<-r.sent
	}()
	err = nil
	for e.response = e.response[:0]; err == nil; {
		if len(e.response) == cap(e.response) {
			e.response = append(e.response, make([]byte, max(64<<10, len(e.response)))...)[:len(e.response)]
		}
		var n int
		n, err = p.Read(e.response[len(e.response):cap(e.response)])
		if e.response = e.response[:len(e.response)+n]; len(e.response) > MaxPayload {
			return errTooLarge
		}
	}
	if !errors.Is(err, io.EOF) {
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
		return r.failure(ctx, err, o.timeout, Once)
	}
	return use(e.response)
}

func (o *once) close(ctx context.Context) error { return o.program.close(ctx) }
