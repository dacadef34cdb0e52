package kinesis

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

// heartbeat is how often a subscription gets an event at least; without records it is an empty one.
const heartbeat = 5 * time.Second

// sequenceNumber is a kind of string members, from the model.
var sequenceNumber = pattern(0, math.MaxInt, `0|([1-9]\d{0,128})`)

// subscribeOperations are the operations of enhanced fan-out.
func (a *API) subscribeOperations(ops map[string]wire.Handler) {
	ops["SubscribeToShard"] = func(ctx context.Context, r *wire.Request) (any, error) {
		return operation(func(ctx context.Context, in *SubscribeToShardInput) (*wire.EventStream, error) {
			return a.subscribeToShard(ctx, in, r.Format)
		})(ctx, r)
	}
}

func (in *SubscribeToShardInput) validate(v *violations) {
	consumerARN.need(v, "consumerARN", in.ConsumerARN)
	shardID.need(v, "shardId", in.ShardId)
	v.required("startingPosition", in.StartingPosition == nil)
	if p := in.StartingPosition; p != nil {
		v.required("startingPosition.type", p.Type == nil)
		v.enum("startingPosition.type", p.Type, iteratorTypeNames...)
		sequenceNumber.check(v, "startingPosition.sequenceNumber", p.SequenceNumber)
	}
}

func (a *API) subscribeToShard(ctx context.Context, in *SubscribeToShardInput, format wire.Format) (*wire.EventStream, error) {
	k, c, err := a.findConsumer(in.ConsumerARN, nil, nil)
	if err != nil {
		return nil, err
	}
	if err := k.serving(); err != nil {
		return nil, err
	}
	if a.consumerStatus(c) != statusActive {
		return nil, fail(codeResourceInUse, "Consumer %s with creation timestamp %d under stream %s and account %s is not in ACTIVE status.",
			c.Name, c.Created, k.Name(), a.cfg.Account)
	}
	shard, err := a.shardOf(*in.ShardId, k.Name())
	if err != nil {
		return nil, err
	}
	at, err := k.startAt(ctx, "SubscribeToShard", shard, in.StartingPosition)
	if err != nil {
		return nil, err
	}
	if in.DryRun != nil && *in.DryRun {
		return nil, errDryRun
	}
	s := &subscription{known: k, consumer: c, key: seatKey{k.consumerARN(c), shard}, metrics: k.metrics.Consumer(c.Name)}
	err = k.fanout.sit(ctx, s)
	s.metrics.Subscribed(err == nil)
	if err != nil {
		return nil, err
	}
	if err := k.registered(c); err != nil { // its end came since the check above and missed this subscription
		s.end(err)
	}
	return &wire.EventStream{Run: func(ctx context.Context, send wire.Send) error { return s.serve(ctx, at, format, send) }}, nil
}

// serve sends events from a position on until the shard or the subscription ends; nil is an end that is no error. The
// client gets each event before the next one is read, so that a slow one holds one event and no more.
func (s *subscription) serve(run context.Context, at stream.Position, format wire.Format, send wire.Send) error {
	defer context.AfterFunc(run, func() { s.end(nil) })()
	ctx, cancel := context.WithTimeout(s.ctx, subscriptionLife)
	defer cancel()
	now := s.known.api.cfg.Now
	for due := now(); ctx.Err() == nil; {
		if err := s.known.serving(); err != nil {
			return s.failure(err)
		}
		e := s.feed.event(at, format, now())
		if e.err != nil {
			return s.failure(e.err)
		}
		payload := e.payload
		if payload == nil { // nothing was there
			if wait := due.Sub(now()); wait > 0 {
				if err := s.await(ctx, at, wait); err != nil {
					return s.failure(err)
				}
				continue
			}
			var err error
			if payload, err = appendEvent(format, nil, s.known.Stream, nil, &stream.ReadResult{Next: e.next}, now()); err != nil {
				return s.failure(err)
			}
		}
		if err := send("SubscribeToShardEvent", encoded(payload)); err != nil {
			return err
		}
		s.metrics.Event(s.key.shard, e.records, e.size, e.behind)
		if e.last {
			return nil
		}
		at, due = e.next, now().Add(heartbeat)
		if s.known.limited() {
			sleep(ctx, s.known.fanout.pay(s, now(), e.size))
		}
	}
	return s.told() // nil: its time is over, or nobody is there any more
}

// told is why the subscription had to end, if its client gets to know.
func (s *subscription) told() error {
	var why *wire.Error
	if errors.As(context.Cause(s.ctx), &why) {
		return why
	}
	return nil
}

// failure is what the client gets to know of an error of its stream. A reason that it had to end before comes first: a
// consumer may be gone some time before its stream.
func (s *subscription) failure(err error) error {
	if why := s.told(); why != nil {
		return why
	}
	if fault.CodeOf(err) == "stream.deleted" {
		return s.known.api.noStream(s.known.Name())
	}
	return err
}

// await blocks until there is something at a position, for a time at most, or until ctx is done.
func (s *subscription) await(ctx context.Context, at stream.Position, most time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	if err := s.known.Wait(ctx, at); ctx.Err() == nil {
		return err
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// encoded is an output that has been written before.
type encoded []byte

// AppendWire implements wire.Appender.
func (p encoded) AppendWire(_ wire.Format, dst []byte) []byte { return append(dst, p...) }
