package kinesis

import (
	"sync"
	"sync/atomic"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

// known is a stream as the API knows it. There is one for each incarnation; it is made when the stream is first asked for.
type known struct {
	*stream.Stream
	api     *API
	metrics *observe.StreamCalls

	stored   atomic.Pointer[meta]
	changing sync.Mutex             // held while stored changes
	removed  bool                   // the stream has been deleted, and its meta with it
	busy     atomic.Pointer[status] // the state while work of this process makes it true, else nil

	fanout fanout
	reads  readLimits
}

// meta is what is stored of the stream now. It is shared: change it with known.update only.
func (k *known) meta() *meta { return k.stored.Load() }

// ARN is the stream's resource name.
func (k *known) ARN() string { return k.api.streamARN(k.Name()) }

// knowns finds what the API knows of streams, by their names. It holds at most one entry a name; one whose stream is gone
// stays until the name is asked for again.
type knowns struct {
	mu sync.RWMutex
	of map[string]*known
}

// find returns a stream by its name, its ARN, or both. One of them must be given, and both must mean the same stream of
// this account and region: errors are the service's.
func (a *API) find(name, arn *string) (*known, error) {
	stream, err := a.nameOf(name, arn)
	if err != nil {
		return nil, err
	}
	return a.known(stream)
}

// known returns the stream of a name.
func (a *API) known(name string) (*known, error) {
	a.knowns.mu.RLock()
	k := a.knowns.of[name]
	a.knowns.mu.RUnlock()
	if s, err := a.cfg.Streams.Get(name); err == nil && k != nil && k.Stream == s {
		return k, nil
	}
	a.knowns.mu.Lock()
	defer a.knowns.mu.Unlock()
	// A stream that was looked up before the lock may be gone by now, and a younger one of that name be known already. Of
	// two knowns of one stream, each would keep changes from the other.
	s, err := a.cfg.Streams.Get(name)
	if fault.CodeOf(err) == "stream.not_found" {
		delete(a.knowns.of, name)
		return nil, a.noStream(name)
	}
	if err != nil {
		return nil, err
	}
	if k := a.knowns.of[name]; k != nil && k.Stream == s {
		return k, nil
	}
	name = s.Name() // what was given may share the memory of a request's body
	k = &known{
		Stream: s, api: a, metrics: a.cfg.Metrics.Calls(name),
		fanout: fanout{seats: map[seatKey]*seat{}, feeds: map[record.ShardID]*feed{}},
		reads:  readLimits{of: map[record.ShardID]*readLimit{}},
	}
	if err := k.load(); err != nil {
		return nil, err
	}
	k.metrics.ShardLevel(k.meta().ShardMetrics)
	a.knowns.of[name] = k
	return k, nil
}

// forget drops a stream that does not exist any more.
func (a *API) forget(k *known) {
	a.knowns.mu.Lock()
	defer a.knowns.mu.Unlock()
	if a.knowns.of[k.Name()] == k {
		delete(a.knowns.of, k.Name())
	}
}

// noStream is the service's answer for a stream that does not exist.
func (a *API) noStream(name string) error {
	return fail(codeResourceNotFound, "Stream %s under account %s not found.", name, a.cfg.Account)
}

// createdAt fails if a request means a stream of another time; nil is any. Clients that got the time as whole seconds mean
// this stream too.
func (k *known) createdAt(t *wire.Timestamp) error {
	if t != nil && t.Unix() != k.Created().Unix() {
		return k.api.noStream(k.Name())
	}
	return nil
}
