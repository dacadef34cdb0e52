package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// sinks finds the sink of a manifest: the configured one, or one opened again for the destination that was configured when
// the object was sealed.
type sinks struct {
	cfg    *Config
	mu     sync.Mutex
	opened map[string]Sink
}

// closeTimeout bounds the closing of sinks.
const closeTimeout = 10 * time.Second

func (s *sinks) init(cfg *Config) { s.cfg, s.opened = cfg, map[string]Sink{} }

// destination of a sink, in the form that it has in a manifest; the zero value if it cannot tell.
func destination(s Sink) Destination {
	var d Destination
	if sink, ok := s.(Destiner); ok {
		d = sink.Destination()
	}
	if p, err := json.Marshal(d.Config); err == nil { // as a part of the manifest, it gets compact
		d.Config = p
	}
	return d
}

// name tells destinations apart.
func (d Destination) name() string { return d.Kind + "\x00" + string(d.Config) }

func same(a, b Destination) bool { return a.Kind == b.Kind && bytes.Equal(a.Config, b.Config) }

func (s *sinks) get(m *manifest) (Sink, error) {
	current := s.cfg.Sink
	if m.Dead {
		current = s.cfg.DeadLetters.Sink
	}
	if current != nil && same(m.Destination, destination(current)) {
		return current, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name := m.Destination.name()
	if sink := s.opened[name]; sink != nil {
		return sink, nil
	}
	var err error = fault.New(fault.Unavailable, "delivery.other_destination", "it was sealed for %s %s", m.Destination.Kind, m.Destination.Config)
	var sink Sink
	if s.cfg.Open != nil {
		sink, err = s.cfg.Open(m.Destination)
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "delivery.other_destination",
			"object %s waits for a destination that is not configured any more: %w", m.Key, err)
	}
	s.opened[name] = sink
	return sink, nil
}

// close closes what was opened, also when ctx is done already.
func (s *sinks) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, sink := range s.opened {
		if err := sink.Close(ctx); err != nil {
			s.cfg.Logger.Warn("close sink", "error", err)
		}
		delete(s.opened, name)
	}
}
