package benchkinesis

import (
	"context"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// await asks until done reports so.
func await(ctx context.Context, what string, done func() (bool, error)) error {
	for end := time.Now().Add(2 * time.Minute); ; {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if time.Now().After(end) {
			return fault.New(fault.Retryable, "bench.state", "%s has not come into the state that was waited for in 2 minutes", what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// create makes the stream of a round and lists its shards.
func (p *program) create(ctx context.Context, shards int) error {
	c, err := p.at.dial(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	err = c.call(ctx, "CreateStream", map[string]any{"StreamName": p.stream, "ShardCount": shards}, nil)
	switch {
	case isCode(err, "ResourceInUseException"):
		return fault.New(fault.Permanent, "bench.stream_exists", "there is a stream %s at %s already", p.stream, p.at.url).
			WithHint("name another with --stream; this one may hold records of somebody, so the benchmark leaves it alone")
	case isCode(err, "LimitExceededException"):
		return fault.New(fault.Permanent, "bench.shards", "%s: %w", p.at.url, err).WithHint("ask for fewer with --shards")
	case err != nil:
		return err
	}
	name := map[string]any{"StreamName": p.stream}
	err = await(ctx, "stream "+p.stream, func() (bool, error) {
		var out struct {
			StreamDescriptionSummary struct{ StreamStatus string }
		}
		err := c.call(ctx, "DescribeStreamSummary", name, &out)
		return out.StreamDescriptionSummary.StreamStatus == "ACTIVE", err
	})
	p.shards = nil
	for token := ""; err == nil; {
		in := name
		if token != "" {
			in = map[string]any{"NextToken": token}
		}
		var out struct {
			Shards    []struct{ ShardId string }
			NextToken string
		}
		if err = c.call(ctx, "ListShards", in, &out); err != nil {
			break
		}
		for _, s := range out.Shards {
			p.shards = append(p.shards, s.ShardId)
		}
		if token = out.NextToken; token == "" {
			return nil
		}
	}
	_ = p.remove(ctx) // the error before says more
	return err
}

// remove deletes the stream, also of a benchmark that was stopped, and waits until it is gone.
func (p *program) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	c, err := p.at.dial(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	name := map[string]any{"StreamName": p.stream}
	if err := c.call(ctx, "DeleteStream", name, nil); err != nil {
		return err
	}
	return await(ctx, "stream "+p.stream, func() (bool, error) {
		err := c.call(ctx, "DescribeStreamSummary", name, nil)
		if isCode(err, "ResourceNotFoundException") {
			return true, nil
		}
		return false, err
	})
}
