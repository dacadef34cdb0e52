package kinesis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/core/wire"
	"github.com/leatstream/leat/internal/testenv"
)

// modelStream is a stream as a client may expect it to be.
type modelStream struct {
	state status
	until time.Time
	kib   int32
}

// TestStatesAgreeWithAModel creates, changes and deletes streams at random, while time passes and the server is stopped or
// killed, and compares what is answered with a model.
func TestStatesAgreeWithAModel(t *testing.T) {
	base := uint64(time.Now().UnixNano())
	for round := range testenv.Count(20, 1000) {
		seed := base + uint64(round)
		synctest.Test(t, func(t *testing.T) { randomStates(t, rand.New(rand.NewPCG(seed, 0))) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func randomStates(t *testing.T, rng *rand.Rand) {
	s := newServer(t, Config{Transition: lasting})
	model := map[string]*modelStream{}
	// settle lets the model's states end that are over.
	settle := func() {
		for name, m := range model {
			switch over := !time.Now().Before(m.until); {
			case over && m.state == statusDeleting:
				delete(model, name)
			case over:
				m.state = statusActive
			}
		}
	}
	// expect checks the code of an answer; it is empty for a success.
	expect := func(err error, want string) {
		t.Helper()
		got := ""
		if known := (*wire.Error)(nil); errors.As(err, &known) {
			got = known.Code
		}
		if got != want {
			t.Fatalf("answered %v, want the code %q", err, want)
		}
	}
	wrongState := func(m *modelStream) string {
		switch {
		case m == nil:
			return codeResourceNotFound
		case m.state != statusActive:
			return codeResourceInUse
		}
		return ""
	}
	for range 60 {
		name := fmt.Sprintf("s%d", rng.IntN(7))
		m := model[name]
		switch rng.IntN(10) {
		case 0, 1, 2:
			transient := 0
			for _, other := range model {
				if other.state == statusCreating || other.state == statusDeleting {
					transient++
				}
			}
			want := ""
			if m != nil {
				want = codeResourceInUse
			} else if transient >= maxTransient {
				want = codeLimitExceeded
			}
			expect(s.call("CreateStream", doc{"StreamName": name, "ShardCount": 1}, nil), want)
			if want == "" {
				model[name] = &modelStream{statusCreating, time.Now().Add(lasting), 1024}
			}
		case 3, 4:
			kib := 1024 + rng.Int32N(1000)
			want := wrongState(m)
			expect(s.call("UpdateMaxRecordSize", doc{"StreamARN": s.streamARN(name), "MaxRecordSizeInKiB": kib}, nil), want)
			if want == "" {
				*m = modelStream{statusUpdating, time.Now().Add(lasting), kib}
			}
		case 5:
			want := wrongState(m)
			expect(s.call("DeleteStream", doc{"StreamName": name}, nil), want)
			if want == "" {
				m.state, m.until = statusDeleting, time.Now().Add(lasting)
			}
		case 6:
			s.restart()
		case 7:
			s.kill()
		default:
			time.Sleep(time.Duration(rng.Int64N(int64(lasting * 3 / 2))))
		}
		synctest.Wait()
		settle()
		for i := range 7 {
			name := fmt.Sprintf("s%d", i)
			m := model[name]
			if m == nil {
				expect(s.call("DescribeStreamSummary", doc{"StreamName": name}, nil), codeResourceNotFound)
				continue
			}
			if got := s.summary(name); got.StreamStatus != string(m.state) || *got.MaxRecordSizeInKiB != m.kib {
				t.Fatalf("%s is %s with records of up to %d KiB, want %+v", name, got.StreamStatus, *got.MaxRecordSizeInKiB, *m)
			}
		}
		if stored := len(storedMetas(s)); stored != len(model) {
			t.Fatalf("%d metas are stored for %d streams", stored, len(model))
		}
	}
}

// kill ends the server as the operating system would, and starts it again.
func (s *server) kill() {
	s.t.Helper()
	mem := s.fs.(*vfs.Mem)
	mem.Freeze()
	_ = errors.Join(s.Close(), s.API.cfg.Streams.Close(), s.API.cfg.State.Close()) // nothing reaches the disk any more
	s.fs = mem.Kill()
	s.start()
}
