package observe

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// shardMetrics are the metrics of single shards, by CloudWatch's names. They cost a series a shard each, so they are on for
// streams only whose owner asks.
var shardMetrics = []struct {
	name  string
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*shardCounts) (v float64, ok bool)
}{
	{"IncomingBytes", shardDesc("incoming_bytes_total", "Bytes of keys and data stored durably in a shard."),
		prometheus.CounterValue, counted(func(c *shardCounts) *atomic.Uint64 { return &c.bytesIn })},
	{"IncomingRecords", shardDesc("incoming_records_total", "Records stored durably in a shard."),
		prometheus.CounterValue, counted(func(c *shardCounts) *atomic.Uint64 { return &c.recordsIn })},
	{"OutgoingBytes", shardDesc("outgoing_bytes_total", "Bytes of keys and data of a shard given to clients of the API."),
		prometheus.CounterValue, counted(func(c *shardCounts) *atomic.Uint64 { return &c.bytesOut })},
	{"OutgoingRecords", shardDesc("outgoing_records_total", "Records of a shard given to clients of the API."),
		prometheus.CounterValue, counted(func(c *shardCounts) *atomic.Uint64 { return &c.recordsOut })},
	{"WriteProvisionedThroughputExceeded", shardDesc("write_provisioned_throughput_exceeded_total", "Records refused by the write limit of a shard."),
		prometheus.CounterValue, counted(func(c *shardCounts) *atomic.Uint64 { return &c.writesRefused })},
	{"ReadProvisionedThroughputExceeded", shardDesc("read_provisioned_throughput_exceeded_total", "GetRecords calls refused by the read limit of a shard."),
		prometheus.CounterValue, counted(func(c *shardCounts) *atomic.Uint64 { return &c.readsRefused })},
	{"IteratorAgeMilliseconds", shardDesc("iterator_age_milliseconds", "Greatest age of the last record of a GetRecords call on a shard within the last minutes; 0 at the tip."),
		prometheus.GaugeValue, func(c *shardCounts) (float64, bool) { return c.age.value(time.Now()) }},
}

// getRecordsAge is the age for a whole stream.
var getRecordsAge = prometheus.NewDesc(namespace+"_get_records_iterator_age_milliseconds",
	"Greatest age of the last record of a GetRecords call within the last minutes; 0 if all were at the tips of their shards.", []string{"stream"}, nil)

func shardDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_shard_"+name, help, []string{"stream", "shard"}, nil)
}

func counted(of func(*shardCounts) *atomic.Uint64) func(*shardCounts) (float64, bool) {
	return func(c *shardCounts) (float64, bool) { return float64(of(c).Load()), true }
}

// shardDetail is what is counted of the shards of one stream, and the age of what clients read of it.
type shardDetail struct {
	age    peak
	on     atomic.Uint32 // the metrics of single shards that are on, by their bits
	shards sync.Map      // record.ShardID -> *shardCounts; those counted since the metrics were turned on
}

// shardCounts are the counts of one shard. Its methods do nothing on nil, which is a shard of a stream that has them off.
type shardCounts struct {
	bytesIn, recordsIn, bytesOut, recordsOut atomic.Uint64
	writesRefused, readsRefused              atomic.Uint64
	age                                      peak
}

// turn turns on the metrics that are named, and all others off.
func (d *shardDetail) turn(names []string) {
	on := uint32(0)
	for i := range shardMetrics {
		for _, name := range names {
			if name == shardMetrics[i].name {
				on |= 1 << i
			}
		}
	}
	if d.on.Swap(on) != 0 && on == 0 {
		d.shards.Clear()
	}
}

// shard returns the counts of a shard; nil if they are off.
func (d *shardDetail) shard(id record.ShardID) *shardCounts {
	if d.on.Load() == 0 {
		return nil
	}
	c, ok := d.shards.Load(id)
	if !ok {
		c, _ = d.shards.LoadOrStore(id, &shardCounts{})
	}
	return c.(*shardCounts)
}

func (c *shardCounts) take(records int, bytes int64) {
	if c != nil {
		c.recordsIn.Add(uint64(records))
		c.bytesIn.Add(uint64(bytes))
	}
}

func (c *shardCounts) give(records, bytes int) {
	if c != nil {
		c.recordsOut.Add(uint64(records))
		c.bytesOut.Add(uint64(bytes))
	}
}

func (c *shardCounts) refuseWrite() {
	if c != nil {
		c.writesRefused.Add(1)
	}
}

func (c *shardCounts) refuseRead() {
	if c != nil {
		c.readsRefused.Add(1)
	}
}

func (c *shardCounts) seeAge(age time.Duration) {
	if c != nil {
		c.age.see(age.Milliseconds(), time.Now())
	}
}

// collect sends what is counted of a stream's shards. Shards that have expired are forgotten.
func (d *shardDetail) collect(ch chan<- prometheus.Metric, stream string, log shardlog.Log) {
	if age, ok := d.age.value(time.Now()); ok {
		ch <- prometheus.MustNewConstMetric(getRecordsAge, prometheus.GaugeValue, age, stream)
	}
	on := d.on.Load()
	d.shards.Range(func(key, value any) bool {
		id := key.(record.ShardID)
		if log == nil {
			return false
		}
		if _, there := log.State(id); !there {
			d.shards.Delete(id)
			return true
		}
		for i := range shardMetrics {
			m := &shardMetrics[i]
			if v, ok := m.value(value.(*shardCounts)); ok && on&(1<<i) != 0 {
				ch <- prometheus.MustNewConstMetric(m.desc, m.kind, v, stream, id.String())
			}
		}
		return true
	})
}

// peak is the greatest value of this minute and the one before, so that one scrape a minute misses none, and a value that
// is not reported any more goes away.
type peak struct {
	mu          sync.Mutex
	minute      int64 // since the Unix epoch, of now
	now, before int64 // -1: there was none
}

// roll makes minute the minute of now. mu is held.
func (p *peak) roll(minute int64) {
	switch {
	case p.minute == minute:
		return
	case p.minute == minute-1:
		p.before = p.now
	default:
		p.before = -1
	}
	p.minute, p.now = minute, -1
}

func (p *peak) see(v int64, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.roll(at.Unix() / 60)
	p.now = max(p.now, v)
}

// value is false if there was none.
func (p *peak) value(at time.Time) (float64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.roll(at.Unix() / 60)
	v := max(p.now, p.before)
	return float64(v), v >= 0
}
