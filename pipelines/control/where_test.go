package control

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// counts adds up what a tap says of records that it does not show.
type counts struct {
	mu                          sync.Mutex
	records, skipped, undecided uint64
	reason                      string
	started                     bool
}

func (c *counts) see(e *Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Event {
	case EventRecord:
		c.records++
	case EventSkipped:
		c.skipped += e.Records
	case EventUndecided:
		c.undecided, c.reason = c.undecided+e.Records, e.Message
	case EventWatching, EventStarted:
		c.started = true
	case EventStopped:
		c.started = false
	}
	return nil
}

func (c *counts) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		c.mu.Lock()
		ok := holds()
		c.mu.Unlock()
		if ok {
			return
		}
	}
	t.Fatalf("not %s: %+v", what, c)
}

// Every record that passes is shown, or known not to be what was asked for, or counted, once, also over versions of the pipeline.
func TestATapAccountsForEveryRecord(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	running := s.Add("p")
	client, err := Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	var c counts
	ended := make(chan error)
	go func() {
		ended <- client.Tap(t.Context(), Request{Pipeline: "p", Where: "n > 1 || N > 1", Rate: 1}, c.see)
	}()
	for round, stage := range []string{"one", "two"} {
		p := version(stage)
		running.Starts(p)
		c.await(t, "watching", func() bool { return c.started })
		//            undecided                                 does not hold      holds
		pass(t, p, 0, "no json", "drop", "fail", `{"n":"text"}`, `{"n":1,"N":1}`, `{"n":2,"N":2}`, `{"n":3,"N":3}`, `{"n":4,"N":4}`)
		c.await(t, "counted", func() bool { return c.undecided == uint64(4*(round+1)) && c.records+c.skipped == uint64(3*(round+1)) })
		running.Stops(nil)
		c.await(t, "stopped", func() bool { return !c.started })
	}
	if c.records < 1 || c.skipped < 1 || !strings.Contains(c.reason, "not one JSON value") {
		t.Errorf("%+v", &c)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
