package kinesis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

func TestSubscriptionsStartWhereTheirPositionSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{}, 1)
		numbers := w.put("a")
		time.Sleep(2 * time.Second)
		between := time.Now()
		time.Sleep(2 * time.Second)
		numbers = append(numbers, w.put("b", "c")...)
		conns := map[string]*connection{}
		for typ, c := range map[string]struct {
			number *string
			time   *wire.Timestamp
			want   []string
		}{
			"TRIM_HORIZON":          {want: []string{"a", "b", "c"}},
			"LATEST":                {},
			"AT_SEQUENCE_NUMBER":    {number: &numbers[1], want: []string{"b", "c"}},
			"AFTER_SEQUENCE_NUMBER": {number: &numbers[1], want: []string{"c"}},
			"AT_TIMESTAMP":          {time: new(wire.At(between)), want: []string{"b", "c"}},
		} {
			conn := w.mustConnect(w.register(typ), StartingPosition{Type: &typ, SequenceNumber: c.number, Timestamp: c.time})
			if first := conn.next(t); !slices.Equal(first.data(), c.want) {
				t.Errorf("%s: the first event has %q, want %q", typ, first.data(), c.want)
			}
			conns[typ] = conn
		}
		w.put("d")
		for typ, conn := range conns {
			if second := conn.next(t); !slices.Equal(second.data(), []string{"d"}) {
				t.Errorf("%s: the second event has %q, want the record that came since", typ, second.data())
			}
			if err := conn.close(); err != nil {
				t.Errorf("%s: the client went and the subscription ended with %v", typ, err)
			}
		}
	})
}

func TestAnEventHasWhatTheModelSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{}, 1)
		arrived := time.Now()
		numbers := w.put("a", "b")
		time.Sleep(3 * time.Second)
		conn := w.mustConnect(w.register("c"), from("TRIM_HORIZON"))
		defer conn.close()
		e := conn.next(t)
		if len(e.Records) != 2 || e.MillisBehindLatest != 0 || len(e.ChildShards) != 0 {
			t.Fatalf("event %s", e.raw)
		}
		r := e.Records[1]
		if string(r.Data) != "b" || r.PartitionKey != "k" || r.SequenceNumber != numbers[1] || !r.ApproximateArrivalTimestamp.Equal(arrived) {
			t.Errorf("record %+v, want number %s, arrived %v", r, numbers[1], arrived)
		}
		if e.ContinuationSequenceNumber <= numbers[1] {
			t.Errorf("continue from %s, which is not after %s", e.ContinuationSequenceNumber, numbers[1])
		}
	})
}

func TestALargeBacklogComesInPiecesThatSayHowFarBehindTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{}, 1)
		for range 4 {
			w.put(strings.Repeat("x", eventBytes/2))
			time.Sleep(time.Second)
		}
		w.put(strings.Repeat("y", 3*eventBytes))
		conn := w.mustConnect(w.register("c"), from("TRIM_HORIZON"))
		defer conn.close()
		seen := 0
		for last := int64(time.Hour.Milliseconds()); seen < 5; {
			e := conn.next(t)
			seen += len(e.Records)
			if e.MillisBehindLatest >= last || (e.MillisBehindLatest == 0) != (seen == 5) {
				t.Errorf("after %d of 5 records %d ms behind, before %d", seen, e.MillisBehindLatest, last)
			}
			last = e.MillisBehindLatest
		}
	})
}

func TestAnIdleSubscriptionGetsHeartbeatsThatAdvance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{}, 1)
		w.put("a")
		conn := w.mustConnect(w.register("c"), from("LATEST"))
		defer conn.close()
		before := conn.next(t)
		for range 10 {
			e := conn.next(t)
			if wait := e.at.Sub(before.at); wait <= 0 || wait > 5*time.Second {
				t.Errorf("an idle subscription got nothing for %v", wait)
			}
			if e.ContinuationSequenceNumber <= before.ContinuationSequenceNumber {
				t.Errorf("the number to continue from went from %s to %s", before.ContinuationSequenceNumber, e.ContinuationSequenceNumber)
			}
			if !strings.Contains(string(e.raw), `"Records":[]`) || len(e.ChildShards) > 0 {
				t.Errorf("a heartbeat is %s", e.raw)
			}
			before = e
		}
	})
}

// A client that continues from any event, by either type of position, misses nothing and gets nothing twice.
func TestContinuationNumbersResumeExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{}, 1)
		consumer := w.register("c")
		conn := w.mustConnect(consumer, from("TRIM_HORIZON"))
		var all []string
		put := 0
		for i := range 40 {
			if i%3 != 0 {
				for range i % 4 {
					w.put(fmt.Sprint(put))
					put++
				}
			}
			synctest.Wait()
			time.Sleep(time.Duration(i%5) * 700 * time.Millisecond)
			e := conn.next(t)
			all = append(all, e.data()...)
			if i%2 == 0 {
				continue
			}
			if err := conn.close(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(takeoverAfter)
			typ := []string{"AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"}[i/2%2]
			conn = w.mustConnect(consumer, fromNumber(typ, e.ContinuationSequenceNumber))
		}
		for len(all) < put {
			all = append(all, conn.next(t).data()...)
		}
		conn.close()
		for i, d := range all {
			if d != fmt.Sprint(i) {
				t.Fatalf("record %d is %s; got %q", i, d, all)
			}
		}
	})
}

func TestASubscriptionLivesFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{}, 1)
		conn := w.mustConnect(w.register("c"), from("LATEST"))
		began := time.Now()
		for range conn.events {
		}
		if err := <-conn.done; err != nil {
			t.Errorf("the subscription ended with %v", err)
		}
		if lived := time.Since(began); lived != 5*time.Minute {
			t.Errorf("the subscription lived %v", lived)
		}
	})
}

func TestTheNextSubscriptionTakesOverAfterFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{Limits: true}, 2)
		w.limit()
		consumer, other := w.register("c"), w.register("other")
		inUse := "Another active subscription exists for this consumer: 123456789012:birds:shardId-000000000000:c"
		first, err := w.connect(consumer, 0, from("LATEST"), 100)
		if err != nil {
			t.Fatal(err)
		}
		defer first.close()
		for _, c := range []struct {
			consumer *string
			shard    record.ShardID
		}{{other, 0}, {consumer, 1}} {
			conn, err := w.connect(c.consumer, c.shard, from("LATEST"), 100)
			if err != nil {
				t.Errorf("another consumer or shard is refused: %v", err)
			}
			defer conn.close()
		}
		_, err = w.connect(consumer, 0, from("LATEST"), 0)
		wantFailure(t, err, codeResourceInUse, inUse)
		_, err = w.connect(consumer, 0, from("LATEST"), 0)
		wantFailure(t, err, codeLimitExceeded, "Rate exceeded for consumer c and shard shardId-000000000000 in stream birds under account 123456789012.")
		time.Sleep(5*time.Second - 1)
		_, err = w.connect(consumer, 0, from("LATEST"), 0)
		wantFailure(t, err, codeResourceInUse, inUse)
		time.Sleep(time.Second)
		second, err := w.connect(consumer, 0, from("LATEST"), 100)
		if err != nil {
			t.Fatalf("after 6 s: %v", err)
		}
		wantFailure(t, <-first.done, codeResourceInUse, inUse)
		second.next(t) // the empty first event, which else might have the record
		w.put("a")
		if got := second.next(t).data(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("the subscription that took over gets %q", got)
		}
		second.close()
		_, err = w.connect(consumer, 0, from("LATEST"), 0)
		wantFailure(t, err, codeResourceInUse, inUse) // also if the connection is gone
	})
}

func TestASubscriptionEndsWithItsShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{}, 1)
		consumer := w.register("c")
		conn := w.mustConnect(consumer, from("LATEST"))
		conn.next(t)
		numbers := w.put("a")
		if e := conn.next(t); len(e.ChildShards) > 0 {
			t.Errorf("children before the end: %s", e.raw)
		}
		if _, err := w.stream.Split(context.Background(), 0, stream.HashKey{Hi: 1 << 63}); err != nil {
			t.Fatal(err)
		}
		last := conn.next(t)
		if len(last.ChildShards) != 2 || last.ChildShards[0].ShardId != "shardId-000000000001" || last.ChildShards[1].ParentShards[0] != "shardId-000000000000" {
			t.Errorf("the last event is %s", last.raw)
		}
		if strings.Contains(string(last.raw), "ContinuationSequenceNumber") {
			t.Errorf("the last event says where to continue, by which clients know that it is not the last one: %s", last.raw)
		}
		if _, more := <-conn.events; more {
			t.Error("there are events after the last one")
		}
		if err := <-conn.done; err != nil {
			t.Errorf("the subscription ended with %v", err)
		}
		time.Sleep(takeoverAfter)
		conn = w.mustConnect(consumer, fromNumber("AT_SEQUENCE_NUMBER", numbers[0]))
		if e := conn.next(t); len(e.Records) != 1 || len(e.ChildShards) != 2 {
			t.Errorf("a closed shard is read as %s", e.raw)
		}
	})
}

func TestASubscriptionEndsWithItsConsumerOrStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{}, 1)
		deregistered, orphan := w.mustConnect(w.register("c"), from("LATEST")), w.mustConnect(w.register("d"), from("LATEST"))
		deregistered.next(t)
		orphan.next(t)
		if _, err := w.deregisterStreamConsumer(context.Background(), &DeregisterStreamConsumerInput{StreamARN: w.arn(), ConsumerName: new("c")}); err != nil {
			t.Fatal(err)
		}
		wantFailure(t, <-deregistered.done, codeResourceNotFound, "Consumer c under stream birds and account 123456789012 not found.")
		if err := w.API.cfg.Streams.Delete(context.Background(), "birds"); err != nil {
			t.Fatal(err)
		}
		wantFailure(t, <-orphan.done, codeResourceNotFound, "Stream birds under account 123456789012 not found.")
	})
}

func TestAConsumerGetsTwoMebibytesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, limits := range []bool{true, false} {
			w := newFanWorld(t, Config{Limits: limits}, 1)
			const size, count = 1000, 12 << 20 / 1000
			data := strings.Repeat("x", size-1) // and one byte of key
			for range count / 100 {
				w.put(slices.Repeat([]string{data}, 100)...)
			}
			if limits {
				w.limit()
			}
			began := time.Now()
			a, b := w.mustConnect(w.register("a"), from("TRIM_HORIZON")), w.mustConnect(w.register("b"), from("TRIM_HORIZON"))
			for _, conn := range []*connection{a, b} {
				go func() {
					defer conn.cancel()
					for n := 0; n < count/100*100; {
						n += len(conn.next(t).Records)
					}
				}()
			}
			for _, conn := range []*connection{a, b} {
				<-conn.done
			}
			took := time.Since(began)
			if want := 5 * time.Second; limits && (took < want-200*time.Millisecond || took > want+200*time.Millisecond) {
				t.Errorf("12 MiB took %v; a burst of 2 MiB and then 2 MiB/s would be %v", took, want)
			} else if !limits && took != 0 {
				t.Errorf("without limits 12 MiB took %v", took)
			}
		}
	})
}

func TestWhatSubscribeToShardRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{Transition: 10 * time.Second}, 1)
		consumer := w.register("c")
		_, err := w.connect(consumer, 0, from("LATEST"), 0)
		wantFailure(t, err, codeResourceInUse, "Consumer c with creation timestamp 946684800 under stream birds and account 123456789012 is not in ACTIVE status.")
		time.Sleep(10 * time.Second)
		_, err = w.connect(consumer, 1, from("LATEST"), 0)
		wantFailure(t, err, codeResourceNotFound, "")
		_, err = w.connect(new(w.streamARN("birds")+"/consumer/x:1"), 0, from("LATEST"), 0)
		wantFailure(t, err, codeResourceNotFound, "Consumer x under stream birds and account 123456789012 not found.")
		_, err = w.connect(new(w.streamARN("fish")+"/consumer/x:1"), 0, from("LATEST"), 0)
		wantFailure(t, err, codeResourceNotFound, "Stream fish under account 123456789012 not found.")
		number := w.put("a")[0]
		for _, p := range []StartingPosition{
			from("AT_TIMESTAMP"), from("AT_SEQUENCE_NUMBER"), from("AFTER_SEQUENCE_NUMBER"),
			{Type: new("AT_TIMESTAMP"), Timestamp: new(wire.At(time.Now().Add(time.Second)))},
			fromNumber("AT_SEQUENCE_NUMBER", "12"), fromNumber("AT_SEQUENCE_NUMBER", number[:54]+"90"),
		} {
			_, err = w.connect(consumer, 0, p, 0)
			wantFailure(t, err, codeInvalidArgument, "")
		}
		_, err = w.connect(consumer, 0, fromNumber("AT_SEQUENCE_NUMBER", "12"), 0)
		wantFailure(t, err, codeInvalidArgument, "StartingSequenceNumber 12 used in SubscribeToShard on shard shardId-000000000000 in stream birds under account 123456789012 is invalid.")
		in := &SubscribeToShardInput{ConsumerARN: consumer, ShardId: new("shardId-000000000000"), StartingPosition: new(from("LATEST")), DryRun: new(true)}
		for range 2 {
			_, err = w.subscribeToShard(context.Background(), in, wire.JSON)
			wantFailure(t, err, codeDryRun, "")
		}
		conn := w.mustConnect(consumer, from("LATEST")) // no refusal above and no dry run took the seat
		conn.close()
		if _, err := w.deregisterStreamConsumer(context.Background(), &DeregisterStreamConsumerInput{ConsumerARN: consumer}); err != nil {
			t.Fatal(err)
		}
		_, err = w.connect(consumer, 0, from("LATEST"), 0)
		wantFailure(t, err, codeResourceInUse, "")
	})
}

func TestSubscribeToShardNamesAllConstraints(t *testing.T) {
	for _, c := range []struct {
		in   SubscribeToShardInput
		want string
	}{
		{SubscribeToShardInput{}, "3 validation errors detected: Value null at 'consumerARN' failed to satisfy constraint: Member must not be null; " +
			"Value null at 'shardId' failed to satisfy constraint: Member must not be null; Value null at 'startingPosition' failed to satisfy constraint: Member must not be null"},
		{SubscribeToShardInput{ConsumerARN: new("arn:aws:kinesis:us-east-1:000000000000:stream/s/consumer/c:1"), ShardId: new("s"),
			StartingPosition: &StartingPosition{Type: new("OLDEST"), SequenceNumber: new("01")}},
			"2 validation errors detected: Value 'OLDEST' at 'startingPosition.type' failed to satisfy constraint: Member must satisfy enum value set: " +
				"[AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]; " +
				`Value '01' at 'startingPosition.sequenceNumber' failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\d{0,128})`},
	} {
		var v violations
		c.in.validate(&v)
		wantFailure(t, v.err(), codeValidation, c.want)
	}
}
