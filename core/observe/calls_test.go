package observe

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/record"
)

// count counts all that there is to count of one shard.
func count(s *StreamMetrics, c *StreamCalls, reader *ConsumerCalls, shard record.ShardID) {
	s.Incoming(shard, 2, 20)
	s.Throttled(shard)
	c.GetRecords(time.Millisecond, shard, 1, 10, time.Second)
	c.GetRecordsFailed(time.Millisecond, shard, true)
	reader.Event(shard, 1, 10, 0)
}

func TestSingleShardsAreShownForThoseWhoAsk(t *testing.T) {
	m := NewMetrics()
	s, c := m.Stream("s"), m.Calls("s")
	reader := c.Consumer("reader")
	MeasureAppends(&fakeLog{}, s)
	count(s, c, reader, 1)
	if got := page(t, m); strings.Contains(got, "shardId") {
		t.Errorf("single shards are shown that nobody asked for:\n%s", got)
	}

	c.ShardLevel([]string{"IncomingRecords", "OutgoingBytes"})
	count(s, c, reader, 1)
	has(t, m, `leat_shard_incoming_records_total{shard="shardId-000000000001",stream="s"} 2`,
		`leat_shard_outgoing_bytes_total{shard="shardId-000000000001",stream="s"} 20`)
	if n := strings.Count(page(t, m), "shardId"); n != 2 {
		t.Errorf("%d series of single shards, want 2", n)
	}

	var all []string
	for i := range shardMetrics {
		all = append(all, shardMetrics[i].name)
	}
	c.ShardLevel(all)
	count(s, c, reader, 1)
	count(s, c, reader, 11)                                                                   // has expired
	has(t, m, `leat_shard_incoming_records_total{shard="shardId-000000000001",stream="s"} 4`, // of both times
		`leat_shard_incoming_bytes_total{shard="shardId-000000000001",stream="s"} 40`,
		`leat_shard_outgoing_records_total{shard="shardId-000000000001",stream="s"} 4`,
		`leat_shard_write_provisioned_throughput_exceeded_total{shard="shardId-000000000001",stream="s"} 2`,
		`leat_shard_read_provisioned_throughput_exceeded_total{shard="shardId-000000000001",stream="s"} 2`,
		`leat_shard_iterator_age_milliseconds{shard="shardId-000000000001",stream="s"} 1000`)
	if got := page(t, m); strings.Contains(got, "shardId-000000000011") {
		t.Error("a shard that has expired is shown")
	}

	c.ShardLevel(nil)
	count(s, c, reader, 1)
	if got := page(t, m); strings.Contains(got, "shardId") {
		t.Errorf("single shards are shown after they were turned off:\n%s", got)
	}
}

func TestAStreamOfTheSameNameBeginsAnew(t *testing.T) {
	m := NewMetrics()
	s, c := m.Stream("s"), m.Calls("s")
	reader := c.Consumer("reader")
	c.ShardLevel([]string{"IncomingBytes"})
	count(s, c, reader, 1)
	s.Forget()
	count(s, c, reader, 1) // what was under way
	if got := page(t, m); strings.Contains(got, `stream="s"`) {
		t.Errorf("a stream that was deleted is shown:\n%s", got)
	}
	s, c = m.Stream("s"), m.Calls("s")
	reader = c.Consumer("reader")
	count(s, c, reader, 1)
	has(t, m, `leat_incoming_records_total{stream="s"} 2`, `leat_get_records_success_total{stream="s"} 1`)
	if got := page(t, m); strings.Contains(got, "shardId") {
		t.Error("the metrics of single shards are on as they were for the stream before")
	}
}

func TestAConsumerIsForgotten(t *testing.T) {
	m := NewMetrics()
	c := m.Calls("s")
	for i := range 3 {
		c.Consumer(fmt.Sprint("reader", i)).Event(0, 1, 1, 0)
	}
	c.ForgetConsumer("reader1")
	got := page(t, m)
	if strings.Contains(got, "reader1") || !strings.Contains(got, "reader0") || !strings.Contains(got, "reader2") {
		t.Errorf("want the consumers 0 and 2:\n%s", got)
	}
	has(t, m, `leat_get_records_success_total{stream="s"} 0`)
}

func TestTheAgeIsTheGreatestOfTheLastMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p peak
		check := func(want float64, there bool) {
			t.Helper()
			if got, ok := p.value(time.Now()); got != want && there || ok != there {
				t.Errorf("%v, %v; want %v, %v", got, ok, want, there)
			}
		}
		check(0, false)
		p.see(5000, time.Now())
		p.see(0, time.Now()) // another reader
		check(5000, true)
		time.Sleep(time.Minute)
		check(5000, true)
		p.see(10, time.Now())
		time.Sleep(time.Minute)
		check(10, true)
		p.see(0, time.Now())
		time.Sleep(time.Minute)
		check(0, true) // caught up
		time.Sleep(time.Minute)
		check(0, false) // nobody reads
	})
}

func BenchmarkAnswered(b *testing.B) {
	a := NewMetrics().API("kinesis")
	b.ReportAllocs()
	for b.Loop() {
		a.Answered("PutRecords", "", 1000, 100, time.Millisecond)
	}
}

func BenchmarkPutRecords(b *testing.B) {
	c := NewMetrics().Calls("s")
	b.ReportAllocs()
	for b.Loop() {
		c.PutRecords(time.Millisecond, 500, 0, 0, 500_000)
	}
}

// BenchmarkGetRecords has the metrics of single shards on.
func BenchmarkGetRecords(b *testing.B) {
	c := NewMetrics().Calls("s")
	c.ShardLevel([]string{"OutgoingBytes"})
	b.ReportAllocs()
	for b.Loop() {
		c.GetRecords(time.Millisecond, 7, 500, 500_000, 0)
	}
}
