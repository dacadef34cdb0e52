package kinesis

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/core/wire"
)

// callRate is how often an operation may be called.
type callRate struct {
	perSecond float64
	perStream bool // counted for each stream, else for the account
}

// rates are those of the API reference of 2026, and where it has none, of the table of quotas in the developer guide.
// Operations on records and shards that are not here have limits of their own.
var rates = map[string]callRate{
	"AddTagsToStream":                        {perSecond: 5},
	"CreateChannel":                          {perSecond: 5},
	"CreateStream":                           {perSecond: 5},
	"DecreaseStreamRetentionPeriod":          {perSecond: 5, perStream: true},
	"DeleteChannel":                          {perSecond: 5},
	"DeleteResourcePolicy":                   {perSecond: 5},
	"DeleteStream":                           {perSecond: 5},
	"DeregisterStreamConsumer":               {perSecond: 5, perStream: true},
	"DescribeAccountSettings":                {perSecond: 5},
	"DescribeChannel":                        {perSecond: 5},
	"DescribeLimits":                         {perSecond: 1},
	"DescribeStream":                         {perSecond: 10},
	"DescribeStreamConsumer":                 {perSecond: 20, perStream: true},
	"DescribeStreamSummary":                  {perSecond: 20},
	"DisableEnhancedMonitoring":              {perSecond: 5, perStream: true},
	"EnableEnhancedMonitoring":               {perSecond: 5, perStream: true},
	"GetResourcePolicy":                      {perSecond: 5},
	"IncreaseStreamRetentionPeriod":          {perSecond: 5, perStream: true},
	"ListChannels":                           {perSecond: 5},
	"ListShards":                             {perSecond: 1000, perStream: true},
	"ListStreamConsumers":                    {perSecond: 5, perStream: true},
	"ListStreams":                            {perSecond: 5},
	"ListTagsForResource":                    {perSecond: 5},
	"ListTagsForStream":                      {perSecond: 5},
	"MergeShards":                            {perSecond: 5},
	"PutResourcePolicy":                      {perSecond: 5},
	"RegisterStreamConsumer":                 {perSecond: 5},
	"RemoveTagsFromStream":                   {perSecond: 5},
	"SplitShard":                             {perSecond: 5},
	"TagResource":                            {perSecond: 5},
	"UntagResource":                          {perSecond: 5},
	"UpdateAccountSettings":                  {perSecond: 5},
	"UpdateChannel":                          {perSecond: 5},
	"UpdateMaxRecordSize":                    {perSecond: 5},
	"UpdateShardCount":                       {perSecond: 10},
	"UpdateStreamMode":                       {perSecond: 5},
	"UpdateStreamRecordDistributionStrategy": {perSecond: 5},
	"UpdateStreamWarmThroughput":             {perSecond: 5},
}

// callRates refuses calls that come faster than the service takes them.
type callRates struct {
	account string
	now     func() time.Time

	mu sync.Mutex
	// of holds a budget for each operation, or for each operation and stream. A budget that was not used for a second is
	// like a new one, so those are dropped when there have become many.
	of    map[callKey]*budget
	sweep int // how many there may be before that
}

type callKey struct{ operation, stream string }

// budget is what may still be called at once: up to a second's worth.
type budget struct {
	calls float64
	at    time.Time
}

// leastSweep is from how many budgets on idle ones are dropped.
const leastSweep = 1024

func newCallRates(account string, now func() time.Time) *callRates {
	return &callRates{account: account, now: now, of: map[callKey]*budget{}, sweep: leastSweep}
}

// limit makes a handler that refuses calls over the rate of an operation, before it looks at anything else of them.
func (c *callRates) limit(operation string, answer wire.Handler) wire.Handler {
	rate, ok := rates[operation]
	if !ok {
		return answer
	}
	return func(ctx context.Context, r *wire.Request) (any, error) {
		stream, err := streamOf(r)
		if err != nil {
			return nil, err
		}
		key := callKey{operation: operation}
		if rate.perStream {
			key.stream = stream
		}
		if c.take(key, rate.perSecond) {
			return answer(ctx, r)
		}
		if stream == "" {
			return nil, fail(codeLimitExceeded, "Rate exceeded for account %s.", c.account)
		}
		return nil, fail(codeLimitExceeded, "Rate exceeded for stream %s under account %s.", stream, c.account)
	}
}

// streamOf is the name of the stream that a request is about; empty if there is none, or one that no stream can have.
func streamOf(r *wire.Request) (string, error) {
	var in struct {
		StreamName  *string `json:"StreamName"`
		StreamARN   *string `json:"StreamARN"`
		ResourceARN *string `json:"ResourceARN"`
		ConsumerARN *string `json:"ConsumerARN"`
	}
	if err := r.Decode(&in); err != nil {
		return "", err
	}
	name := ""
	if in.StreamName != nil {
		name = *in.StreamName
	}
	for _, arn := range []*string{in.StreamARN, in.ResourceARN, in.ConsumerARN} {
		if arn != nil && name == "" {
			_, resource, _ := strings.Cut(*arn, ":stream/")
			name, _, _ = strings.Cut(resource, "/consumer/")
		}
	}
	if len(name) > streamName.most || !isName(name) {
		return "", nil
	}
	return name, nil
}

// take takes one call from a budget, if it has one.
func (c *callRates) take(key callKey, perSecond float64) bool {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.of[key]
	if b == nil {
		c.dropIdle(now)
		b = &budget{calls: perSecond, at: now}
		c.of[key] = b
	}
	b.calls = min(perSecond, b.calls+perSecond*max(0, now.Sub(b.at).Seconds()))
	b.at = now
	if b.calls < 1 {
		return false
	}
	b.calls--
	return true
}

// dropIdle drops budgets that are like new ones. c.mu is held.
func (c *callRates) dropIdle(now time.Time) {
	if len(c.of) < c.sweep {
		return
	}
	for key, b := range c.of {
		if now.Sub(b.at) >= time.Second {
			delete(c.of, key)
		}
	}
	c.sweep = max(leastSweep, 2*len(c.of))
}
