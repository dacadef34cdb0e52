// Package sinktest is the test suite that every sink passes: the contract of [delivery.Sink], checked from outside.
//
// A sink's test calls [Run] with a [Setup]: a way to make fresh destinations, and for each the ways to look into it and to
// disturb it. What a destination cannot do (read back, refuse credentials) is left nil, and the tests that need it are not run.
package sinktest

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
)

// Setup says how to run the suite against one kind of sink.
type Setup struct {
	// New returns a destination that nothing has been delivered to. It is called once for each test.
	New func(t *testing.T) Destination
	// Threshold is the body size in bytes from which on the sink works differently (multipart uploads); 0 if there is none.
	Threshold int64
	// AtLeastOnce says that a repeated put may leave a second copy: tests that count objects are not run.
	AtLeastOnce bool
}

// Destination is one place to deliver to. All but Open may be nil.
type Destination struct {
	// Open returns a new sink that delivers there. It need not be started. The suite closes it.
	Open func(t *testing.T) delivery.Sink
	// Objects reads everything back: keys and bodies, without what is only half there.
	Objects func(t *testing.T) map[string][]byte
	// Plant stores an object of somebody else.
	Plant func(t *testing.T, key string, body []byte)
	// Leave makes what a crash in the middle of a put of this chunk leaves behind.
	Leave func(t *testing.T, c *delivery.Chunk)
	// Leftovers counts what Leave has made and is still there.
	Leftovers func(t *testing.T) int
	// Outside lists what lies around the destination where no key may lead; the suite compares it before and after.
	Outside func(t *testing.T) []string
	// Unreachable returns a sink like Open's whose destination does not answer.
	Unreachable func(t *testing.T) delivery.Sink
	// Denied returns a sink like Open's whose credentials, permissions or place are wrong.
	Denied func(t *testing.T) delivery.Sink
	// Secrets must not appear in the sink's Destination nor in its errors.
	Secrets []string
}

// soon is how long a sink may take to return after its context has ended.
const soon = 5 * time.Second

// limit is how long a test waits for a call that must succeed.
const limit = 60 * time.Second

// Run runs the suite.
func Run(t *testing.T, s Setup) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"PutIsReadBack", putIsReadBack},
		{"PutTwiceIsOneObject", putTwiceIsOneObject},
		{"ConcurrentPuts", concurrentPuts},
		{"ConcurrentPutsOfOneChunk", concurrentPutsOfOneChunk},
		{"CancelledPutIsPutAgain", cancelledPutIsPutAgain},
		{"FailingBodyIsPutAgain", failingBodyIsPutAgain},
		{"ChangedBodyIsRefused", changedBodyIsRefused},
		{"ConflictIsPermanent", conflictIsPermanent},
		{"HostileKeysAreHarmless", hostileKeysAreHarmless},
		{"UnreachableIsNotPermanent", unreachableIsNotPermanent},
		{"DeniedIsUnauthorized", deniedIsUnauthorized},
		{"StartCleansUp", startCleansUp},
		{"ProbeDeliversNothing", probeDeliversNothing},
		{"DestinationHasNoSecrets", destinationHasNoSecrets},
		{"CloseTwice", closeTwice},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := s.New(t)
			before := goleak.IgnoreCurrent()
			t.Run("", func(t *testing.T) { test.run(t, &suite{Setup: s, Destination: d}) })
			if err := goleak.Find(before); err != nil {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

// suite is the state of one test.
type suite struct {
	Setup
	Destination
}

// open returns a sink that is closed when the test ends.
func (s *suite) open(t *testing.T) delivery.Sink {
	t.Helper()
	return closing(t, s.Open(t))
}

func closing(t *testing.T, sink delivery.Sink) delivery.Sink {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		if err := sink.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return sink
}

// needs ends the test if the destination lacks an ability.
func needs(t *testing.T, has bool, what string) {
	t.Helper()
	if !has {
		t.Skipf("this destination cannot %s", what)
	}
}

// put puts a chunk that must succeed, and checks that its bodies were closed.
func put(t *testing.T, sink delivery.Sink, c *Chunk) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := sink.Put(ctx, &c.Chunk); err != nil {
		t.Fatalf("put of %s: %v", c.Key, err)
	}
	c.checkClosed(t)
}

// want checks that the destination holds these chunks and nothing else.
func (s *suite) want(t *testing.T, chunks ...*Chunk) {
	t.Helper()
	if s.Objects == nil {
		return
	}
	got := s.Objects(t)
	for _, c := range chunks {
		body, ok := got[c.Key]
		switch {
		case !ok:
			t.Errorf("%q is missing", c.Key)
		case string(body) != string(c.Bytes):
			t.Errorf("%q has %d bytes that are not the %d bytes of the chunk", c.Key, len(body), len(c.Bytes))
		}
		delete(got, c.Key)
	}
	for key, body := range got {
		t.Errorf("there is also %q with %d bytes", key, len(body))
	}
}

// inTime runs a put under a context that ends after d, and checks that it returns soon after that.
func inTime(t *testing.T, sink delivery.Sink, c *Chunk, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- sink.Put(ctx, &c.Chunk) }()
	select {
	case err := <-done:
		return err
	case <-time.After(d + soon):
		t.Fatalf("put of %s has not returned %v after its context ended", c.Key, soon)
		return nil
	}
}

// check checks an error's class and that it has a code and no secret.
func (s *suite) check(t *testing.T, err error, classes ...fault.Class) {
	t.Helper()
	var classed *fault.Error
	if !errors.As(err, &classed) {
		t.Errorf("error without a class: %v", err)
		return
	}
	ok := false
	for _, class := range classes {
		ok = ok || classed.Class == class
	}
	if !ok || classed.Code == "" {
		t.Errorf("error is %s with code %q, want one of %v: %v", classed.Class, classed.Code, classes, err)
	}
	s.noSecrets(t, "the error", err.Error())
}
