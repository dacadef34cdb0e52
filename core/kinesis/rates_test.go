package kinesis

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCallsOverTheirRateAreRefused(t *testing.T) {
	clock := newClock()
	s := newServer(t, Config{Limits: true, Now: clock.now})
	const account, a = "Rate exceeded for account 123456789012.", "Rate exceeded for stream a under account 123456789012."
	for i := range 5 {
		s.create(fmt.Sprintf("s%d", i), 1)
	}
	s.refused("CreateStream", doc{"StreamName": "a", "ShardCount": 1}, codeLimitExceeded, a)
	clock.advance(200 * time.Millisecond)
	s.create("a", 1)
	s.refused("CreateStream", doc{"StreamName": "b", "ShardCount": 1}, codeLimitExceeded, "Rate exceeded for stream b under account 123456789012.")

	must[any](s, "DescribeLimits", doc{})
	s.refused("DescribeLimits", doc{}, codeLimitExceeded, account)
	clock.advance(time.Second)
	must[any](s, "DescribeLimits", doc{})
	for range 5 {
		must[any](s, "ListStreams", doc{})
	}
	s.refused("ListStreams", doc{}, codeLimitExceeded, account)
	for range 10 {
		must[any](s, "DescribeStream", doc{"StreamName": "a"})
	}
	s.refused("DescribeStream", doc{"StreamARN": s.streamARN("a")}, codeLimitExceeded, a)
}

func TestRatesOfAStreamDoNotTouchAnother(t *testing.T) {
	s := newServer(t, Config{Limits: true, Now: newClock().now})
	s.create("a", 1)
	s.create("b", 1)
	for _, stream := range []string{"a", "b"} {
		arn := s.streamARN(stream)
		for range 5 {
			must[any](s, "ListStreamConsumers", doc{"StreamARN": arn})
		}
		s.refused("ListStreamConsumers", doc{"StreamARN": arn}, codeLimitExceeded, "Rate exceeded for stream "+stream+" under account 123456789012.")
	}
}

func TestCallsAreNotCountedWithoutLimits(t *testing.T) {
	s := newServer(t, Config{Now: newClock().now})
	for range 100 {
		must[any](s, "ListStreams", doc{})
	}
}

func TestTheRateRefillsOverTime(t *testing.T) {
	clock := newClock()
	c := newCallRates("1", clock.now)
	passed := 0
	for range 10_000 { // 10 s in steps of a millisecond
		if c.take(callKey{operation: "X"}, 5) {
			passed++
		}
		clock.advance(time.Millisecond)
	}
	if passed != 54 { // a second's worth at the start, and 5 a second
		t.Errorf("%d calls passed in 10 s", passed)
	}
	clock.advance(-time.Hour)
	if c.take(callKey{operation: "X"}, 5) {
		t.Error("a clock that was set back made room")
	}
	clock.advance(time.Second)
	if !c.take(callKey{operation: "X"}, 5) {
		t.Error("after a clock was set back nothing passes")
	}
}

func TestBudgetsOfManyStreamsAreDroppedWhenIdle(t *testing.T) {
	clock := newClock()
	c := newCallRates("1", clock.now)
	for i := range 100 * leastSweep {
		c.take(callKey{"X", fmt.Sprint(i)}, 5)
		clock.advance(2 * time.Millisecond)
	}
	if len(c.of) > 2*leastSweep {
		t.Errorf("%d budgets are kept", len(c.of))
	}
}

func TestANameThatNoStreamHasIsNotKept(t *testing.T) {
	s := newServer(t, Config{Limits: true, Now: newClock().now})
	name := strings.Repeat("x", 1000)
	_ = s.call("ListStreamConsumers", doc{"StreamARN": s.streamARN(name)}, nil)
	for key := range s.calls.of {
		if key.stream != "" {
			t.Errorf("kept: %.20s", key.stream)
		}
	}
}

// TestEveryRateIsThatOfAnOperation finds what is misspelled.
func TestEveryRateIsThatOfAnOperation(t *testing.T) {
	s := newServer(t, Config{})
	for name := range rates {
		if s.ops[name] == nil {
			t.Errorf("there is no operation %s", name)
		}
	}
}
