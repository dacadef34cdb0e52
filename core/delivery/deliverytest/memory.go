package deliverytest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"strings"
	"sync"

	"github.com/leatstream/leat/core/delivery"
)

// Memory is a Store in memory with the conditional put of an object store.
type Memory struct {
	mu      sync.Mutex
	objects map[string][]byte
}

// Sink returns a sink for a place.
func (m *Memory) Sink(place string) (delivery.Sink, error) { return &memorySink{m, place}, nil }

// Open opens a sink by its destination.
func (m *Memory) Open(d delivery.Destination) (delivery.Sink, error) {
	var place string
	if err := json.Unmarshal(d.Config, &place); err != nil {
		return nil, err
	}
	return m.Sink(place)
}

// Objects returns a place's objects.
func (m *Memory) Objects(place string) (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := maps.Clone(m.objects)
	maps.DeleteFunc(out, func(key string, _ []byte) bool { return !strings.HasPrefix(key, place+"/") })
	return out, nil
}

type memorySink struct {
	store *Memory
	place string
}

// Put stores the body, unless the key is taken.
func (s *memorySink) Put(_ context.Context, c *delivery.Chunk) error {
	body, err := c.Open()
	if err != nil {
		return err
	}
	defer body.Close()
	p, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	key := s.place + "/" + c.Key
	if old, ok := s.store.objects[key]; ok {
		if !bytes.Equal(old, p) {
			return delivery.ConflictError("memory", key, "?", c.ID)
		}
		return nil
	}
	if s.store.objects == nil {
		s.store.objects = map[string][]byte{}
	}
	s.store.objects[key] = p
	return nil
}

// Close does nothing.
func (s *memorySink) Close(context.Context) error { return nil }

// Destination names the place.
func (s *memorySink) Destination() delivery.Destination {
	p, err := json.Marshal(s.place)
	if err != nil {
		panic(err)
	}
	return delivery.Destination{Kind: "memory", Config: p}
}
