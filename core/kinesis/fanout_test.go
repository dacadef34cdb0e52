package kinesis

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
	"github.com/leatstream/leat/core/wire/wiretest"
)

// held is what the stream's fanout holds.
func (w *fanWorld) held() (seats, taken, feeds int) {
	w.t.Helper()
	k, err := w.find(nil, w.arn())
	if err != nil {
		w.t.Fatal(err)
	}
	k.fanout.mu.Lock()
	defer k.fanout.mu.Unlock()
	for _, s := range k.fanout.seats {
		if s.by != nil {
			taken++
		}
	}
	return len(k.fanout.seats), taken, len(k.fanout.feeds)
}

func TestSubscribersInStepShareOneEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{}, 1)
		var conns []*connection
		for i := range 10 {
			conn := w.mustConnect(w.register(fmt.Sprint("c", i)), from("LATEST"))
			defer conn.close()
			conn.next(t)
			conns = append(conns, conn)
		}
		for round := range 3 {
			w.put(fmt.Sprint(round))
			synctest.Wait() // all of them have their event in hand
			shared := map[*byte]int{}
			for _, conn := range conns {
				e := conn.next(t)
				if len(e.Records) != 1 || string(e.Records[0].Data) != fmt.Sprint(round) {
					t.Fatalf("round %d: %s", round, e.raw)
				}
				shared[&e.raw[0]]++
			}
			if len(shared) != 1 {
				t.Errorf("round %d: ten subscribers got %d encodings of one event", round, len(shared))
			}
		}
	})
}

// What is shared must not make anybody miss or repeat a record: subscribers of different speed, in both formats.
func TestSharingChangesNothingInWhatASubscriberGets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{}, 1)
		const records = 200
		done := make(chan error)
		for i := range 8 {
			format := wire.Format(i % 2)
			consumer := w.register(fmt.Sprint("c", i))
			ctx, cancel := context.WithCancel(t.Context())
			out, err := w.subscribeToShard(ctx, &SubscribeToShardInput{ConsumerARN: consumer, ShardId: new("shardId-000000000000"), StartingPosition: new(from("TRIM_HORIZON"))}, format)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				defer cancel()
				seen := 0
				done <- out.Run(ctx, func(_ string, payload any) error {
					var e SubscribeToShardEvent
					if err := wire.Unmarshal(format, wire.Append(format, nil, payload), &e); err != nil {
						return err
					}
					for _, r := range e.Records {
						if string(r.Data) != fmt.Sprint(seen) {
							return fmt.Errorf("subscriber %d got %s after %d records", i, r.Data, seen)
						}
						seen++
					}
					if seen == records {
						return io.EOF
					}
					time.Sleep(time.Duration(i*i) * 5 * time.Millisecond)
					return nil
				})
			}()
		}
		for i := range records {
			w.put(fmt.Sprint(i))
			time.Sleep(time.Duration(i%7) * 10 * time.Millisecond)
		}
		for range 8 {
			if err := <-done; err != io.EOF {
				t.Error(err)
			}
		}
	})
}

func TestASlowSubscriberHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{}, 1)
		consumer := w.register("slow")
		slow := w.mustConnect(consumer, from("LATEST"))
		quick := w.mustConnect(w.register("quick"), from("LATEST"))
		defer quick.close()
		quick.next(t)
		for i := range 20 {
			began := time.Now()
			w.put(fmt.Sprint(i))
			if e := quick.next(t); len(e.Records) != 1 || time.Since(began) != 0 {
				t.Fatalf("beside a slow subscriber, event %s took %v", e.raw, time.Since(began))
			}
		}
		time.Sleep(takeoverAfter)
		again := w.mustConnect(consumer, from("LATEST")) // while the slow one has not taken its first event
		again.next(t)
		again.close()
		slow.next(t)
		wantFailure(t, <-slow.done, codeResourceInUse, "")
	})
}

func TestWhatSubscriptionsLeaveBehindIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shards = 100
		w := newFanWorld(t, Config{Limits: true}, shards)
		consumer := w.register("c")
		for shard := range record.ShardID(shards) {
			conn, err := w.connect(consumer, shard, from("LATEST"), 1)
			if err != nil {
				t.Fatal(err)
			}
			conn.close()
		}
		synctest.Wait()
		if _, taken, feeds := w.held(); taken != 0 || feeds != 0 {
			t.Errorf("%d seats are taken and %d shards read after all clients have gone", taken, feeds)
		}
		time.Sleep(takeoverAfter)
		other := w.register("d")
		for shard := range record.ShardID(shards) {
			conn, err := w.connect(other, shard, from("LATEST"), 1)
			if err != nil {
				t.Fatal(err)
			}
			conn.close()
			time.Sleep(takeoverAfter)
		}
		if seats, _, _ := w.held(); seats > 2*17 {
			t.Errorf("%d seats are kept where one is in use", seats)
		}
	})
}

func TestAConsumerThatIsRegisteredAgainBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{}, 1)
		for range 3 { // within one second, so that the ARN is the same
			consumer := w.register("c")
			conn := w.mustConnect(consumer, from("LATEST"))
			conn.next(t)
			if _, err := w.deregisterStreamConsumer(t.Context(), &DeregisterStreamConsumerInput{ConsumerARN: consumer}); err != nil {
				t.Fatal(err)
			}
			wantFailure(t, <-conn.done, codeResourceNotFound, "")
		}
	})
}

// An answer may fail before its first event, so that nobody ever runs the subscription.
func TestASubscriptionThatNeverRanLeavesItsSeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{}, 1)
		ctx, cancel := context.WithCancel(t.Context())
		in := &SubscribeToShardInput{ConsumerARN: w.register("c"), ShardId: new("shardId-000000000000"), StartingPosition: new(from("LATEST"))}
		if _, err := w.subscribeToShard(ctx, in, wire.JSON); err != nil {
			t.Fatal(err)
		}
		if _, taken, feeds := w.held(); taken != 1 || feeds != 1 {
			t.Fatalf("%d seats taken, %d shards read", taken, feeds)
		}
		cancel()
		synctest.Wait()
		if _, taken, feeds := w.held(); taken != 0 || feeds != 0 {
			t.Errorf("%d seats taken, %d shards read after the request", taken, feeds)
		}
	})
}

// A client that keeps the connection and reads nothing is cut, whatever the version of HTTP.
func TestAClientThatDoesNotReadIsCut(t *testing.T) {
	w := newFanWorld(t, Config{}, 1)
	for range 64 {
		if _, err := w.stream.Put(t.Context(), []stream.Entry{{Key: "k", Data: make([]byte, 1<<20-1)}}); err != nil {
			t.Fatal(err)
		}
	}
	addr := listen(t, w.API, 500*time.Millisecond)
	request := func(name string) *http.Request {
		body := fmt.Sprintf(`{"ConsumerARN":%q,"ShardId":"shardId-000000000000","StartingPosition":{"Type":"TRIM_HORIZON"}}`, *w.register(name))
		r, err := http.NewRequest(http.MethodPost, "http://"+addr, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", Target+".SubscribeToShard")
		wiretest.Sign(r)
		return r
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := request("one").Write(conn); err != nil {
		t.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport}).Do(request("two"))
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(err, answer)
	}
	defer answer.Body.Close()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		seats, taken, feeds := w.held()
		if seats == 2 && taken == 0 && feeds == 0 {
			return
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("%d of %d subscriptions hold %d shards after %v", taken, seats, feeds, time.Since(began))
		}
	}
}
