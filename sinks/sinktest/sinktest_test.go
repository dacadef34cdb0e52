package sinktest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/sinks/sinktest"
)

// store is a destination in memory.
type store struct {
	sync.Mutex
	objects map[string]object
	left    map[string]string // id by key
}

type object struct {
	id   string
	body []byte
}

// sink writes to a store. mutant names the mistake that it makes, empty for none.
type sink struct {
	*store
	mutant      string
	unreachable bool
	denied      bool
}

const secret = "hunter2"

func (s *sink) Put(ctx context.Context, c *delivery.Chunk) error {
	if s.denied {
		class := fault.Unauthorized
		if s.mutant == "denied is permanent" {
			class = fault.Permanent
		}
		text := "no"
		if s.mutant == "secret in the error" {
			text += " to " + secret
		}
		return fault.New(class, "denied", "%s", text)
	}
	if s.unreachable {
		class := fault.Unavailable
		if s.mutant == "unreachable is permanent" {
			class = fault.Permanent
		}
		if s.mutant == "context ignored" {
			time.Sleep(8 * time.Second)
		} else {
			<-ctx.Done()
		}
		return fault.New(class, "unreachable", "no answer")
	}
	if err := checkKey(c.Key); err != nil && s.mutant != "keys not checked" {
		return err
	}
	body, err := c.Open()
	if err != nil {
		return err
	}
	if s.mutant != "body not closed" {
		defer func() { _ = body.Close() }()
	}
	content, err := io.ReadAll(body)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil && s.mutant == "half a body stored" {
		err = nil
		s.set(c.Key, object{c.ID, content})
		return fault.New(fault.Retryable, "cancelled", "half")
	}
	if err != nil {
		return fault.New(fault.Retryable, "cancelled", "read: %w", err)
	}
	if s.mutant != "hash not compared" && sha256.Sum256(content) != c.SHA256 {
		return fault.New(fault.Permanent, "sink.body_changed", "body changed")
	}
	s.Lock()
	defer s.Unlock()
	found, taken := s.objects[c.Key]
	switch {
	case taken && found.id == c.ID && s.mutant != "second copy":
		if s.mutant == "own object is a conflict" {
			return delivery.ConflictError("memory", c.Key, found.id, c.ID)
		}
		return nil
	case taken && found.id == c.ID:
		s.objects[c.Key+".2"] = object{c.ID, content}
		return nil
	case taken && s.mutant != "replaces":
		return delivery.ConflictError("memory", c.Key, found.id, c.ID)
	}
	if s.mutant == "last byte lost" && len(content) > 1_000_000 {
		content = content[:len(content)-1]
	}
	if s.mutant != "nothing stored" {
		s.objects[c.Key] = object{c.ID, content}
	}
	delete(s.left, c.Key)
	if s.mutant == "goroutine left" {
		go time.Sleep(20 * time.Second)
	}
	return nil
}

func (s *sink) set(key string, o object) {
	s.Lock()
	defer s.Unlock()
	s.objects[key] = o
}

func checkKey(key string) error {
	bad := regexp.MustCompile(`(^|/)\.{0,2}(/|$)|^\.|\\|[\x00-\x1f\x7f]`)
	if len(key) > 1024 || bad.MatchString(key) || strings.ToValidUTF8(key, "") != key {
		return fault.New(fault.Permanent, "sink.bad_key", "bad key")
	}
	return nil
}

func (s *sink) Start(_ context.Context, pending func(string) bool) error {
	s.Lock()
	defer s.Unlock()
	maps.DeleteFunc(s.left, func(_, id string) bool { return !pending(id) && s.mutant != "leftovers stay" })
	if s.mutant == "start deletes objects" {
		clear(s.objects)
	}
	return nil
}

func (s *sink) Probe(ctx context.Context) error {
	switch {
	case s.denied:
		return fault.New(fault.Unauthorized, "denied", "no")
	case s.unreachable:
		return fault.New(fault.Unavailable, "unreachable", "no answer")
	case s.mutant == "probe writes":
		s.set("probe", object{})
	}
	return nil
}

func (s *sink) Destination() delivery.Destination {
	config := `{"place":"memory"}`
	if s.mutant == "secret in the destination" {
		config = `{"password":"` + secret + `"}`
	}
	return delivery.Destination{Kind: "memory", Config: json.RawMessage(config)}
}

func (s *sink) Close(context.Context) error { return nil }

const mutantVariable = "LEAT_SINKTEST_MUTANT"

func TestSuite(t *testing.T) {
	sinktest.Run(t, sinktest.Setup{Threshold: 1 << 20, New: func(t *testing.T) sinktest.Destination {
		st := &store{objects: map[string]object{}, left: map[string]string{}}
		one := func(change func(*sink)) func(t *testing.T) delivery.Sink {
			return func(*testing.T) delivery.Sink {
				s := &sink{store: st, mutant: os.Getenv(mutantVariable)}
				change(s)
				return s
			}
		}
		return sinktest.Destination{
			Open:        one(func(*sink) {}),
			Unreachable: one(func(s *sink) { s.unreachable = true }),
			Denied:      one(func(s *sink) { s.denied = true }),
			Objects: func(*testing.T) map[string][]byte {
				st.Lock()
				defer st.Unlock()
				got := map[string][]byte{}
				for key, o := range st.objects {
					got[key] = bytes.Clone(o.body)
				}
				return got
			},
			Plant: func(_ *testing.T, key string, body []byte) { (&sink{store: st}).set(key, object{"theirs", body}) },
			Leave: func(_ *testing.T, c *delivery.Chunk) {
				st.Lock()
				defer st.Unlock()
				st.left[c.Key] = c.ID
			},
			Leftovers: func(*testing.T) int {
				st.Lock()
				defer st.Unlock()
				return len(st.left)
			},
			Outside: func(*testing.T) []string {
				st.Lock()
				defer st.Unlock()
				outside := []string{}
				for key := range st.objects {
					if strings.HasPrefix(key, "../") {
						outside = append(outside, key)
					}
				}
				return outside
			},
			Secrets: []string{secret},
		}
	}})
}

// The suite itself: it finds each of these mistakes, in the test that is about it.
func TestSuiteCatchesBrokenSinks(t *testing.T) {
	if os.Getenv(mutantVariable) != "" {
		return // this is the run of a broken sink
	}
	for mutant, test := range map[string]string{
		"nothing stored":            "PutIsReadBack",
		"last byte lost":            "PutIsReadBack",
		"body not closed":           "PutIsReadBack",
		"second copy":               "PutTwiceIsOneObject",
		"own object is a conflict":  "PutTwiceIsOneObject",
		"half a body stored":        "FailingBodyIsPutAgain",
		"hash not compared":         "ChangedBodyIsRefused",
		"replaces":                  "ConflictIsPermanent",
		"keys not checked":          "HostileKeysAreHarmless",
		"context ignored":           "UnreachableIsNotPermanent",
		"unreachable is permanent":  "UnreachableIsNotPermanent",
		"denied is permanent":       "DeniedIsUnauthorized",
		"secret in the error":       "DeniedIsUnauthorized",
		"leftovers stay":            "StartCleansUp",
		"start deletes objects":     "StartCleansUp",
		"probe writes":              "ProbeDeliversNothing",
		"secret in the destination": "DestinationHasNoSecrets",
		"goroutine left":            "CloseTwice",
	} {
		t.Run(mutant, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestSuite$/^"+test+"$")
			cmd.Env = append(os.Environ(), mutantVariable+"="+mutant)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Errorf("the suite passes a sink with this mistake:\n%s", out)
			} else if !strings.Contains(string(out), "--- FAIL: TestSuite/"+test) {
				t.Errorf("the run failed otherwise: %v\n%s", err, out)
			}
		})
	}
}
