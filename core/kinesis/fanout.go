package kinesis

import (
	"context"
	"sync"
	"time"

	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/record"
)

// Rules of subscriptions, from the API reference of SubscribeToShard.
const (
	subscriptionLife = 5 * time.Minute
	// takeoverAfter is how long a subscription has its seat for itself: a call within this time of a successful one is
	// refused, a later one takes over.
	takeoverAfter = 5 * time.Second
	// subscribeEvery is the least time between two calls for one seat, unless limits are off.
	subscribeEvery = time.Second
	// fanoutRate is what one consumer gets from one shard, in bytes of keys and data a second, unless limits are off. After
	// a pause it gets a second's worth at once.
	fanoutRate = 2 << 20
)

// fanout is who reads the shards of one stream by subscription. Each consumer has a seat at each shard, which one
// subscription at a time occupies.
type fanout struct {
	mu    sync.Mutex
	seats map[seatKey]*seat
	feeds map[record.ShardID]*feed // of shards with subscriptions
	sweep int                      // number of seats at which vacant ones are dropped
}

type seatKey struct {
	consumer string // its ARN
	shard    record.ShardID
}

// seat outlives its subscription while it still counts for the next one.
type seat struct {
	taken   time.Time     // when the last successful call was
	refused time.Time     // when the last call was refused
	by      *subscription // who sits there; nil: nobody
	paid    time.Time     // until when what was sent is paid for at fanoutRate
}

// idle tells whether the seat says no more than a new one.
func (s *seat) idle(now time.Time) bool {
	return s.by == nil && now.Sub(s.taken) >= takeoverAfter && now.Sub(s.refused) >= subscribeEvery && !s.paid.After(now)
}

// subscription is one connection that gets the records of a shard. It holds its seat from sit until its request is over.
type subscription struct {
	known    *known
	consumer *consumer
	metrics  *observe.ConsumerCalls
	key      seatKey
	seat     *seat
	feed     *feed

	ctx context.Context // done when the subscription has to end
	end context.CancelCauseFunc
}

// sit gives s its seat until request is done, or says why not. The subscription that had it ends with the error of the
// service for that.
func (f *fanout) sit(request context.Context, s *subscription) error {
	api, name := s.known.api, s.known.Name()
	now := api.cfg.Now()
	inUse := fail(codeResourceInUse, "Another active subscription exists for this consumer: %s:%s:%s:%s",
		api.cfg.Account, name, s.key.shard, s.consumer.Name)
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.seats[s.key]
	switch {
	case at == nil:
		f.dropIdle(now)
		at = &seat{}
		f.seats[s.key] = at
	case now.Sub(at.refused) < subscribeEvery && s.known.limited():
		return fail(codeLimitExceeded, "Rate exceeded for consumer %s and shard %s in stream %s under account %s.",
			s.consumer.Name, s.key.shard, name, api.cfg.Account)
	case now.Sub(at.taken) < takeoverAfter:
		at.refused = now
		return inUse
	case at.by != nil:
		at.by.end(inUse)
	}
	at.taken, at.by = now, s
	read := f.feeds[s.key.shard]
	if read == nil {
		read = &feed{stream: s.known.Stream}
		f.feeds[s.key.shard] = read
	}
	read.readers++
	s.seat, s.feed = at, read
	s.ctx, s.end = context.WithCancelCause(request)
	context.AfterFunc(request, func() { f.stand(s) })
	return nil
}

// stand frees what sit gave s.
func (f *fanout) stand(s *subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.seat.by == s {
		s.seat.by = nil
	}
	if s.feed.readers--; s.feed.readers == 0 {
		delete(f.feeds, s.key.shard)
	}
}

// dropIdle forgets idle seats each time the number of seats has doubled.
func (f *fanout) dropIdle(now time.Time) {
	if len(f.seats) < f.sweep {
		return
	}
	for key, s := range f.seats {
		if s.idle(now) {
			delete(f.seats, key)
		}
	}
	f.sweep = 2*len(f.seats) + 16
}

// pay takes what was sent to s off its rate and returns how long to wait before the next event.
func (f *fanout) pay(s *subscription, now time.Time, size int) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	const burst = time.Second
	from := s.seat.paid
	if full := now.Add(-burst); from.Before(full) {
		from = full
	}
	s.seat.paid = from.Add(time.Duration(size) * time.Second / fanoutRate)
	return s.seat.paid.Sub(now)
}

// close ends all subscriptions of a consumer and forgets its seats: one that is registered again begins anew.
func (f *fanout) close(consumer string, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, s := range f.seats {
		if key.consumer != consumer {
			continue
		}
		if s.by != nil {
			s.by.end(why)
		}
		delete(f.seats, key)
	}
}
