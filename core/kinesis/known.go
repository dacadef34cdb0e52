package kinesis

import (
	"sync"

	"github.com/google/uuid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stream"
)

// known is a stream as the API knows it. There is one for each incarnation; it is made when the stream is first asked for.
type known struct {
	*stream.Stream
	api *API

	mu   sync.Mutex
	meta meta // what is stored; change it with known.update only
}

// ARN is the stream's resource name.
func (k *known) ARN() string { return k.api.streamARN(k.Name()) }

// knowns finds what the API knows of streams.
type knowns struct {
	mu sync.Mutex
	of map[uuid.UUID]*known
}

// find returns a stream by its name, its ARN, or both. One of them must be given, and both must mean the same stream of
// this account and region: errors are the service's.
func (a *API) find(name, arn *string) (*known, error) {
	stream, err := a.nameOf(name, arn)
	if err != nil {
		return nil, err
	}
	s, err := a.cfg.Streams.Get(stream)
	switch fault.CodeOf(err) {
	case "":
	case "stream.not_found", "stream.deleted":
		return nil, a.noStream(stream)
	default:
		return nil, err
	}
	a.knowns.mu.Lock()
	defer a.knowns.mu.Unlock()
	k := a.knowns.of[s.Incarnation()]
	if k == nil {
		k = &known{Stream: s, api: a}
		if err := k.load(); err != nil {
			return nil, err
		}
		a.knowns.of[s.Incarnation()] = k
	}
	return k, nil
}

// noStream is the service's answer for a stream that does not exist.
func (a *API) noStream(name string) error {
	return fail(codeResourceNotFound, "Stream %s under account %s not found.", name, a.cfg.Account)
}
