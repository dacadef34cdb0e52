package kinesis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

// fanWorld is a server with one stream, "birds".
type fanWorld struct {
	*server
	stream *stream.Stream
}

func newFanWorld(t *testing.T, cfg Config, shards int) *fanWorld {
	t.Helper()
	w := &fanWorld{server: newServer(t, cfg)}
	var err error
	if w.stream, err = w.API.cfg.Streams.Create(context.Background(), "birds", stream.Config{Shards: shards}); err != nil {
		t.Fatal(err)
	}
	return w
}

// limit gives the stream the limits of the service.
func (w *fanWorld) limit() {
	w.t.Helper()
	err := w.stream.Update(context.Background(), func(c *stream.Config) error {
		c.WriteLimit = stream.KinesisWriteLimit
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *fanWorld) arn() *string { return new(w.streamARN("birds")) }

// register registers a consumer and returns its ARN.
func (w *fanWorld) register(name string) *string {
	w.t.Helper()
	out, err := w.registerStreamConsumer(context.Background(), &RegisterStreamConsumerInput{StreamARN: w.arn(), ConsumerName: &name})
	if err != nil {
		w.t.Fatal(err)
	}
	return &out.Consumer.ConsumerARN
}

// put puts records, one call each, all into the shard with the lowest hash keys.
func (w *fanWorld) put(data ...string) (numbers []string) {
	w.t.Helper()
	for _, d := range data {
		res, err := w.stream.Put(context.Background(), []stream.Entry{{Key: "k", ExplicitHashKey: "0", Data: []byte(d)}})
		if err != nil || res[0].Err != nil {
			w.t.Fatal(err, res)
		}
		numbers = append(numbers, res[0].SequenceNumber().String())
	}
	return numbers
}

// connection is a client of SubscribeToShard without the network.
type connection struct {
	events chan got
	done   chan error // what Run returned
	cancel context.CancelFunc
}

// got is an event that a client got, and when.
type got struct {
	SubscribeToShardEvent
	raw []byte
	at  time.Time
}

func (g got) data() (all []string) {
	for _, r := range g.Records {
		all = append(all, string(r.Data))
	}
	return all
}

// connect subscribes. buffer is how many events the client takes before it reads one.
func (w *fanWorld) connect(consumer *string, shard record.ShardID, from StartingPosition, buffer int) (*connection, error) {
	name := shard.String()
	ctx, cancel := context.WithCancel(context.Background())
	out, err := w.subscribeToShard(ctx, &SubscribeToShardInput{ConsumerARN: consumer, ShardId: &name, StartingPosition: &from}, wire.JSON)
	if err != nil {
		cancel()
		return nil, err
	}
	c := &connection{events: make(chan got, buffer), done: make(chan error, 1), cancel: cancel}
	go func() {
		defer cancel()
		defer close(c.done) // so that close may ask again
		defer close(c.events)
		c.done <- out.Run(ctx, func(event string, payload any) error {
			if event != "SubscribeToShardEvent" {
				return fmt.Errorf("event of type %q", event)
			}
			g := got{raw: payload.(encoded), at: time.Now()}
			if err := json.Unmarshal(wire.Append(wire.JSON, nil, payload), &g.SubscribeToShardEvent); err != nil {
				return err
			}
			select {
			case c.events <- g:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	return c, nil
}

func (w *fanWorld) mustConnect(consumer *string, from StartingPosition) *connection {
	w.t.Helper()
	c, err := w.connect(consumer, 0, from, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// next returns the next event.
func (c *connection) next(t testing.TB) got {
	t.Helper()
	g, ok := <-c.events
	if !ok {
		t.Fatalf("the subscription ended: %v", <-c.done)
	}
	return g
}

// close ends the connection from the client's side.
func (c *connection) close() error {
	c.cancel()
	for range c.events {
	}
	return <-c.done
}

func from(typ string) StartingPosition { return StartingPosition{Type: &typ} }

func fromNumber(typ, number string) StartingPosition {
	return StartingPosition{Type: &typ, SequenceNumber: &number}
}

// wantError checks the code of an error that a client gets, and that its text begins as it should.
func wantFailure(t testing.TB, err error, code, text string) {
	t.Helper()
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != code || text != "" && e.Message != text {
		t.Errorf("got %v; want %s: %s", err, code, text)
	}
}
