// Package kinesis is the API of Kinesis Data Streams, version 2013-12-02, on top of core/stream.
//
// A request's way: core/wire finds the operation's handler in [API.Service] by its target. With limits on, the handler takes
// a call from the operation's rate (rates.go). It decodes the body into an input of shapes_*.go, collects all constraints
// that the input violates (validate), and calls the operation: a method of [API] in the file of its family. That finds the
// stream by name or ARN (find), checks its state, works on core/stream, and returns an output, or an error in the service's
// words (fail). What core/stream refuses keeps its meaning (failure); core/wire encodes the outcome.
//
// Operations on records, which are most of the work, take shortcuts on the same way: their inputs and outputs read and write
// themselves (codec_*.go), and subscriptions at the same position share one encoded event (fanout_feed.go).
//
// A stream is known by its incarnation ([known]): with core/stream's stream come what is under way, the limits of reading and
// the subscriptions, which live as long as the process, and a [meta] in the state store: tags, state, consumers, what counts
// towards rolling limits. What takes several durable steps (a shard count, a deletion after a time) stores its goal in the
// meta first, and goes on after a restart.
package kinesis

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/leatstream/leat/core/arn"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/stream/capacity"
	"github.com/leatstream/leat/core/wire"
)

// Target is what the header X-Amz-Target begins with.
const Target = "Kinesis_20131202"

// Config is what the API needs. Streams and State are required.
type Config struct {
	Streams *stream.Streams
	State   *state.Store
	// Account is the account id of 12 digits in ARNs and error texts; by default 000000000000.
	Account string
	// Region in ARNs; by default us-east-1.
	Region string
	// ShardQuota is how many open shards the provisioned streams may have together; by default 20,000. On-demand streams do not
	// grow beyond as many of their own, but may be created with more, and a warm throughput may ask for more.
	ShardQuota int
	// Limits turns the limits of the service on: a shard's throughput in and out, the rates of API calls, how often a day
	// shards and modes change, and how many on-demand streams there are.
	Limits bool
	// Transition is how long the states CREATING, UPDATING and DELETING last at least, up to an hour; by default as long as
	// they are true.
	Transition time.Duration
	Logger     *slog.Logger
	Metrics    *observe.Metrics
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// defaultShardQuota is how many open shards an account may have unless it says so.
const defaultShardQuota = 20_000

// maxTransition is the longest time that states may last. The service itself needs minutes.
const maxTransition = time.Hour

var (
	accountRegexp = regexp.MustCompile(`^[0-9]{12}$`)
	regionRegexp  = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
)

func (c *Config) setDefaults() error {
	if c.Streams == nil || c.State == nil {
		return errors.New("kinesis: Streams and State are required")
	}
	owner := arn.Owner{Account: c.Account, Region: c.Region}.OrDefault()
	c.Account, c.Region = owner.Account, owner.Region
	if c.ShardQuota == 0 {
		c.ShardQuota = defaultShardQuota
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	switch {
	case !accountRegexp.MatchString(c.Account):
		return fault.New(fault.Permanent, "kinesis.invalid_config", "account %.40q: want 12 digits", c.Account)
	case !regionRegexp.MatchString(c.Region):
		return fault.New(fault.Permanent, "kinesis.invalid_config", "region %.40q: want lower-case letters, digits and hyphens, as in us-east-1", c.Region)
	case c.ShardQuota < 0:
		return fault.New(fault.Permanent, "kinesis.invalid_config", "shard quota of %d: want a positive number", c.ShardQuota)
	case c.Transition < 0 || c.Transition > maxTransition:
		return fault.New(fault.Permanent, "kinesis.invalid_config", "states that last %v: want 0 to %v", c.Transition, maxTransition)
	}
	return nil
}

// API answers the operations. Its life: New, Service, and Close once no request is under way.
type API struct {
	cfg       Config
	arnPrefix string // of the ARNs of streams
	tokens    *tokens
	knowns    knowns
	calls     *callRates // nil without limits

	creation sync.Mutex // held while streams and shards are added or change their mode, so that quotas are checked and spent as one

	life       context.Context // ends with Close, and with it what is done in the background
	end        context.CancelFunc
	background sync.WaitGroup
	capacity   *capacity.Follower
}

// New makes an API ready. Deletions that a stop has interrupted go on.
func New(cfg Config) (*API, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	a := &API{
		cfg: cfg, knowns: knowns{of: map[string]*known{}},
		arnPrefix: arn.Owner{Account: cfg.Account, Region: cfg.Region}.Stream(""),
	}
	if cfg.Limits {
		a.calls = newCallRates(cfg.Account, cfg.Now)
	}
	var err error
	if a.tokens, err = newTokens(cfg.State, cfg.Now); err != nil {
		return nil, err
	}
	a.sweepMetas(context.Background())
	a.applyLimits(context.Background())
	a.life, a.end = context.WithCancel(context.Background())
	a.resumeDeletions()
	a.resumeShardCounts()
	a.capacity = a.followLoad()
	return a, nil
}

// FollowLoad lets on-demand streams follow their load where there is no API that does, until the follower is closed.
func FollowLoad(streams *stream.Streams, st *state.Store, logger *slog.Logger) *capacity.Follower {
	a := &API{cfg: Config{Streams: streams, State: st, ShardQuota: defaultShardQuota, Logger: logger}, knowns: knowns{of: map[string]*known{}}}
	return a.followLoad()
}

// On-demand streams stay ACTIVE while their shards change: clients see a reshard as they see any other one. The quota holds for
// their growth and, apart from them, for the shards of provisioned streams.
func (a *API) followLoad() *capacity.Follower {
	return capacity.Follow(capacity.Config{
		Streams: a.cfg.Streams, State: a.cfg.State, Quota: a.cfg.ShardQuota, Warm: a.warmShardsOf, Logger: a.cfg.Logger, Now: a.cfg.Now,
	})
}

// Close ends what the API does in the background.
func (a *API) Close() error {
	a.end()
	a.background.Wait()
	a.capacity.Close()
	return nil
}

// Service is the API for a wire server.
func (a *API) Service() wire.Service {
	ops := map[string]wire.Handler{}
	a.streamOperations(ops)
	a.consumerOperations(ops)
	a.subscribeOperations(ops)
	a.shardOperations(ops)
	a.recordOperations(ops)
	a.retentionOperations(ops)
	a.tagOperations(ops)
	a.policyOperations(ops)
	a.monitoringOperations(ops)
	a.encryptionOperations(ops)
	a.channelOperations(ops)
	if a.calls != nil {
		for name, answer := range ops {
			ops[name] = a.calls.limit(name, answer)
		}
	}
	return wire.Service{Target: Target, Operations: ops}
}

// input is a request's shape that knows its constraints. validate notes every constraint that is violated, in the order in
// which the service lists them.
type input[In any] interface {
	*In
	validate(v *violations)
}

// operation makes a handler of a method: it decodes the body, checks the constraints and calls it.
func operation[In, Out any, P input[In]](answer func(context.Context, P) (Out, error)) wire.Handler {
	return func(ctx context.Context, r *wire.Request) (any, error) {
		in := P(new(In))
		if err := r.Decode(in); err != nil {
			return nil, err
		}
		var v violations
		in.validate(&v)
		if err := v.err(); err != nil {
			return nil, err
		}
		out, err := answer(ctx, in)
		if err != nil {
			return nil, failure(err)
		}
		return out, nil
	}
}

// none is the output of operations that answer with an empty body.
type none = *struct{}
