package sinktest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/delivery"
)

// startCleansUp checks that Start removes what nobody will put again, and that what is pending is put as if nothing had
// been left. A sink may remove what pending chunks have left, too, if it starts those anew.
func startCleansUp(t *testing.T, s *suite) {
	needs(t, s.Leave != nil && s.Leftovers != nil, "keep leftovers of a crash")
	done := Random("a/", 1000)
	put(t, s.open(t), done)
	pending, abandoned := Random("a/", s.large()), Random("a/", s.large())
	s.Leave(t, &pending.Chunk)
	s.Leave(t, &abandoned.Chunk)
	if n := s.Leftovers(t); n != 2 {
		t.Fatalf("%d leftovers were made, not 2", n)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	sink := s.open(t)
	if err := sink.(delivery.Starter).Start(ctx, func(id string) bool { return id == pending.ID }); err != nil {
		t.Fatalf("Start: %v", err)
	}
	if n := s.Leftovers(t); n > 1 {
		t.Errorf("%d leftovers are there after Start", n)
	}
	put(t, sink, pending)
	s.want(t, done, pending)
	if err := s.open(t).(delivery.Starter).Start(ctx, func(string) bool { return false }); err != nil {
		t.Fatalf("second Start: %v", err)
	}
	if n := s.Leftovers(t); n != 0 {
		t.Errorf("%d leftovers are there after all is done", n)
	}
	s.want(t, done, pending)
}

func probeDeliversNothing(t *testing.T, s *suite) {
	sink := s.open(t)
	prober, ok := sink.(delivery.Prober)
	needs(t, ok, "be probed")
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := prober.Probe(ctx); err != nil {
		t.Errorf("Probe: %v", err)
	}
	s.want(t)
}

func destinationHasNoSecrets(t *testing.T, s *suite) {
	sink := s.open(t)
	d, ok := sink.(delivery.Destiner)
	needs(t, ok, "say where it is")
	first := d.Destination()
	if first.Kind == "" || !json.Valid(first.Config) {
		t.Errorf("destination is %q %s", first.Kind, first.Config)
	}
	s.noSecrets(t, "the destination", string(first.Config))
	second := s.open(t).(delivery.Destiner).Destination()
	if second.Kind != first.Kind || string(second.Config) != string(first.Config) {
		t.Errorf("a second sink calls the same destination %s, not %s", second.Config, first.Config)
	}
}

func (s *suite) noSecrets(t *testing.T, what, text string) {
	t.Helper()
	for _, secret := range s.Secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s contains a secret: %s", what, text)
		}
	}
}

func closeTwice(t *testing.T, s *suite) {
	sink := s.Open(t)
	put(t, sink, Random("x/", 1000))
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		if err := sink.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		cancel()
	}
	_ = s.Open(t).Close(context.Background()) // without a put
}
