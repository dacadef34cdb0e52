package benchkinesis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// errNotOffered is that a server does not know an operation, so that it has no figure.
var errNotOffered = errors.New("the server does not offer this")

// subscribe lets consumers of their own follow a shard while one record at a time is put into it. A latency is the time
// from the ack, when the producer has read it, to when a subscriber has read the event.
func (p *program) subscribe(ctx context.Context, d time.Duration) (total sample, err error) {
	control, err := p.at.dial(ctx)
	if err != nil {
		return total, err
	}
	defer control.close()
	arns, err := p.register(ctx, control)
	defer func() {
		for _, arn := range arns {
			err = errors.Join(err, control.call(ctx, "DeregisterStreamConsumer", map[string]any{"ConsumerARN": arn}, nil))
		}
	}()
	if err != nil {
		return total, err
	}
	var subs []*subscription
	defer func() {
		for _, s := range subs {
			s.c.close()
		}
	}()
	for _, arn := range arns {
		s, err := p.open(ctx, arn)
		if err != nil {
			return total, err
		}
		subs = append(subs, s)
	}

	acks := make([]time.Time, max(d/putInterval, 1))
	came := make([][]time.Time, len(subs))
	began := time.Now()
	err = parallel(ctx, len(subs)+1, func(ctx context.Context, i int) error {
		if i == len(subs) {
			err := p.publish(ctx, acks)
			time.AfterFunc(lateEvents, func() {
				for _, s := range subs { // what has not come by now is lost
					_ = s.c.net.SetDeadline(time.Unix(1, 0))
				}
			})
			return err
		}
		var err error
		if came[i], err = subs[i].follow(ctx, len(acks)); err != nil {
			return fmt.Errorf("subscriber %d: %w", i+1, err)
		}
		return nil
	})
	total.took = time.Since(began)
	if err != nil {
		return total, err
	}
	for _, times := range came {
		for n, at := range times {
			total.latencies = append(total.latencies, max(at.Sub(acks[n]), 0)) // an event may be faster than the ack
		}
		total.records += int64(len(times))
	}
	return total, nil
}

// lateEvents is how long after the last put its events may come.
const lateEvents = 5 * time.Second

// register registers the consumers and waits until they are active.
func (p *program) register(ctx context.Context, c *conn) (arns []string, err error) {
	var stream struct {
		StreamDescriptionSummary struct{ StreamARN string }
	}
	if err := c.call(ctx, "DescribeStreamSummary", map[string]any{"StreamName": p.stream}, &stream); err != nil {
		return nil, err
	}
	for i := range subscribers {
		in := map[string]any{"StreamARN": stream.StreamDescriptionSummary.StreamARN, "ConsumerName": fmt.Sprintf("subscriber-%d", i+1)}
		var made struct {
			Consumer struct{ ConsumerARN string }
		}
		err := c.call(ctx, "RegisterStreamConsumer", in, &made)
		if isCode(err, "UnknownOperationException") {
			return nil, errNotOffered
		}
		if err != nil {
			return arns, err
		}
		arn := made.Consumer.ConsumerARN
		arns = append(arns, arn)
		err = await(ctx, "consumer "+arn, func() (bool, error) {
			var out struct {
				ConsumerDescription struct{ ConsumerStatus string }
			}
			err := c.call(ctx, "DescribeStreamConsumer", map[string]any{"ConsumerARN": arn}, &out)
			return out.ConsumerDescription.ConsumerStatus == "ACTIVE", err
		})
		if err != nil {
			return arns, err
		}
	}
	return arns, nil
}

// subscription is the answer of SubscribeToShard, event by event.
type subscription struct {
	c    *conn
	body io.Reader
}

// open subscribes to the stream's first shard and returns when the server has said that events will follow.
func (p *program) open(ctx context.Context, arn string) (*subscription, error) {
	c, err := p.at.dial(ctx)
	if err != nil {
		return nil, err
	}
	body := fmt.Appendf(nil, `{"ConsumerARN":%q,"ShardId":%q,"StartingPosition":{"Type":"LATEST"}}`, arn, p.shards[0])
	resp, err := c.roundTrip(c.to.request("SubscribeToShard", body, time.Now()))
	if err == nil && resp.StatusCode != http.StatusOK {
		if c.body, err = readBody(resp, c.body); err == nil {
			err = failed("SubscribeToShard", resp.StatusCode, c.body)
		}
	}
	if err != nil {
		c.close()
		return nil, err
	}
	s := &subscription{c, resp.Body}
	f, buf, err := readFrame(s.body, c.body)
	c.body = buf
	if err == nil && f.event != "initial-response" {
		err = fmt.Errorf("SubscribeToShard: the first event is %q%q, not the initial response", f.event, f.exception)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return s, nil
}

// follow reads events until the records have come that are put meanwhile, and returns when each of them did. They must
// come in order, each once.
func (s *subscription) follow(ctx context.Context, put int) (came []time.Time, err error) {
	data, scratch := []byte(nil), make([]byte, 0, recordSize)
	for len(came) < put {
		f, buf, err := readFrame(s.body, s.c.body)
		at := time.Now()
		s.c.body = buf
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, fault.New(fault.Retryable, "bench.subscription", "the subscription ended after %d records of %d: %w",
				len(came), put, err)
		case f.exception != "":
			return nil, &apiError{"SubscribeToShard", f.exception, string(f.payload), http.StatusOK}
		}
		err = entries(f.payload, func(e entry) (err error) {
			if data, err = e.appendData(data[:0]); err != nil {
				return err
			}
			n, err := checkRecord(data, e.key, scratch)
			if err == nil && int(n) != firstPublish+len(came) {
				err = fmt.Errorf("record %d has come after %d", n, firstPublish+len(came)-1)
			}
			came = append(came, at)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return came, nil
}
