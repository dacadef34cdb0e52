package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat/core/record"
)

// apiReader is the reader in the metrics of what GetRecords reads; deliveries read under their own names.
const apiReader = "get_records"

// callVecs are the metrics of what clients of the Kinesis API do with streams: CloudWatch's stream-level metrics.
// Latencies have a sum and a count a stream; how they are spread is told for each operation, by apiVecs.
type callVecs struct {
	// By stream.
	putRecordSuccess, putRecordBytes                *prometheus.CounterVec
	putRecordLatency                                *prometheus.SummaryVec
	putRecordsSuccess, putRecordsBytes              *prometheus.CounterVec
	putRecordsLatency                               *prometheus.SummaryVec
	putTotal, putSuccessful, putFailed, putThrottle *prometheus.CounterVec
	getRecordsSuccess                               *prometheus.CounterVec
	getRecordsLatency                               *prometheus.SummaryVec
	throttledReads                                  *prometheus.CounterVec
	outgoingBytes, outgoingRecords                  *prometheus.CounterVec
	// By stream and consumer.
	subscribeSuccess, subscribeRefused     *prometheus.CounterVec
	eventSuccess, eventBytes, eventRecords *prometheus.CounterVec
	eventBehind                            *prometheus.GaugeVec
}

func (m *Metrics) registerCalls() {
	m.calls = callVecs{
		putRecordSuccess:  m.counters("put_record_success_total", "PutRecord calls that succeeded.", "stream"),
		putRecordBytes:    m.counters("put_record_bytes_total", "Bytes of keys and data put by PutRecord.", "stream"),
		putRecordLatency:  m.summaries("put_record_latency_seconds", "Time of PutRecord calls.", "stream"),
		putRecordsSuccess: m.counters("put_records_success_total", "PutRecords calls of which at least one record succeeded.", "stream"),
		putRecordsBytes:   m.counters("put_records_bytes_total", "Bytes of keys and data put by PutRecords.", "stream"),
		putRecordsLatency: m.summaries("put_records_latency_seconds", "Time of PutRecords calls.", "stream"),
		putTotal:          m.counters("put_records_total_records_total", "Records sent by PutRecords.", "stream"),
		putSuccessful:     m.counters("put_records_successful_records_total", "Records that PutRecords stored.", "stream"),
		putFailed:         m.counters("put_records_failed_records_total", "Records that PutRecords did not store because of an internal failure.", "stream"),
		putThrottle:       m.counters("put_records_throttled_records_total", "Records of PutRecords that the write limit of a shard refused.", "stream"),
		getRecordsSuccess: m.counters("get_records_success_total", "GetRecords calls that succeeded.", "stream"),
		getRecordsLatency: m.summaries("get_records_latency_seconds", "Time of GetRecords calls.", "stream"),
		throttledReads:    m.counters("read_provisioned_throughput_exceeded_total", "GetRecords calls refused by the read limit of a shard.", "stream"),
		outgoingBytes:     m.counters("outgoing_bytes_total", "Bytes of keys and data given to clients of the API.", "stream"),
		outgoingRecords:   m.counters("outgoing_records_total", "Records given to clients of the API.", "stream"),

		subscribeSuccess: m.counters("subscribe_to_shard_success_total", "Subscriptions that began.", "stream", "consumer"),
		subscribeRefused: m.counters("subscribe_to_shard_rate_exceeded_total", "Subscriptions refused by a limit or because another one is there.", "stream", "consumer"),
		eventSuccess:     m.counters("subscribe_to_shard_event_success_total", "Events given to subscriptions.", "stream", "consumer"),
		eventBytes:       m.counters("subscribe_to_shard_event_bytes_total", "Bytes of keys and data in events.", "stream", "consumer"),
		eventRecords:     m.counters("subscribe_to_shard_event_records_total", "Records in events.", "stream", "consumer"),
		eventBehind:      m.gauges("subscribe_to_shard_event_millis_behind_latest", "Age of the last record of the last event; 0 when it is at the tip.", "stream", "consumer"),
	}
}

// summaries have a sum and a count, no quantiles.
func (m *Metrics) summaries(name, help string, labels ...string) *prometheus.SummaryVec {
	v := prometheus.NewSummaryVec(prometheus.SummaryOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

// forget removes the series of a stream or, if they are named, of one of its consumers.
func (v *callVecs) forget(of prometheus.Labels) {
	consumers := []*prometheus.CounterVec{v.subscribeSuccess, v.subscribeRefused, v.eventSuccess, v.eventBytes, v.eventRecords}
	streams := []*prometheus.CounterVec{v.putRecordSuccess, v.putRecordBytes, v.putRecordsSuccess, v.putRecordsBytes, v.putTotal,
		v.putSuccessful, v.putFailed, v.putThrottle, v.getRecordsSuccess, v.throttledReads, v.outgoingBytes, v.outgoingRecords}
	for _, c := range append(consumers, streams...) {
		c.DeletePartialMatch(of)
	}
	for _, s := range []*prometheus.SummaryVec{v.putRecordLatency, v.putRecordsLatency, v.getRecordsLatency} {
		s.DeletePartialMatch(of)
	}
	v.eventBehind.DeletePartialMatch(of)
}

// StreamCalls is what clients of the Kinesis API do with one stream.
type StreamCalls struct {
	metrics *Metrics
	stream  string
	detail  *shardDetail

	putRecordSuccess, putRecordBytes                prometheus.Counter
	putRecordLatency                                prometheus.Observer
	putRecordsSuccess, putRecordsBytes              prometheus.Counter
	putRecordsLatency                               prometheus.Observer
	putTotal, putSuccessful, putFailed, putThrottle prometheus.Counter
	getRecordsSuccess, getBytes, getRecords         prometheus.Counter
	getRecordsLatency                               prometheus.Observer
	throttledReads, outgoingBytes, outgoingRecords  prometheus.Counter
}

// Calls returns the metrics of the API's calls for a stream.
func (m *Metrics) Calls(stream string) *StreamCalls {
	if m == nil {
		return nil
	}
	v := &m.calls
	return &StreamCalls{
		metrics: m, stream: stream, detail: m.watched.detail(stream),
		putRecordSuccess:  v.putRecordSuccess.WithLabelValues(stream),
		putRecordBytes:    v.putRecordBytes.WithLabelValues(stream),
		putRecordLatency:  v.putRecordLatency.WithLabelValues(stream),
		putRecordsSuccess: v.putRecordsSuccess.WithLabelValues(stream),
		putRecordsBytes:   v.putRecordsBytes.WithLabelValues(stream),
		putRecordsLatency: v.putRecordsLatency.WithLabelValues(stream),
		putTotal:          v.putTotal.WithLabelValues(stream),
		putSuccessful:     v.putSuccessful.WithLabelValues(stream),
		putFailed:         v.putFailed.WithLabelValues(stream),
		putThrottle:       v.putThrottle.WithLabelValues(stream),
		getRecordsSuccess: v.getRecordsSuccess.WithLabelValues(stream),
		getBytes:          m.readBytes.WithLabelValues(stream, apiReader),
		getRecords:        m.readRecords.WithLabelValues(stream, apiReader),
		getRecordsLatency: v.getRecordsLatency.WithLabelValues(stream),
		throttledReads:    v.throttledReads.WithLabelValues(stream),
		outgoingBytes:     v.outgoingBytes.WithLabelValues(stream),
		outgoingRecords:   v.outgoingRecords.WithLabelValues(stream),
	}
}

// PutRecord counts a call: the bytes of its key and data, and whether it succeeded.
func (c *StreamCalls) PutRecord(took time.Duration, bytes int, ok bool) {
	if c == nil {
		return
	}
	c.putRecordLatency.Observe(took.Seconds())
	if ok {
		c.putRecordSuccess.Inc()
		c.putRecordBytes.Add(float64(bytes))
	}
}

// PutRecords counts a call: its records, how many of them failed or were throttled, and the bytes of the keys and data
// that were stored. For a call that failed as a whole all of them count as failed.
func (c *StreamCalls) PutRecords(took time.Duration, records, failed, throttled, bytes int) {
	if c == nil {
		return
	}
	stored := records - failed - throttled
	c.putRecordsLatency.Observe(took.Seconds())
	if stored > 0 {
		c.putRecordsSuccess.Inc()
	}
	c.putRecordsBytes.Add(float64(bytes))
	c.putTotal.Add(float64(records))
	c.putSuccessful.Add(float64(stored))
	c.putFailed.Add(float64(failed))
	c.putThrottle.Add(float64(throttled))
}

// GetRecords counts a call that succeeded. age is that of the last record that it gave; 0 at the tip of the shard.
func (c *StreamCalls) GetRecords(took time.Duration, shard record.ShardID, records, bytes int, age time.Duration) {
	if c == nil {
		return
	}
	c.getRecordsLatency.Observe(took.Seconds())
	c.getRecordsSuccess.Inc()
	c.getRecords.Add(float64(records))
	c.getBytes.Add(float64(bytes))
	c.detail.age.see(age.Milliseconds(), time.Now())
	c.gave(shard, records, bytes)
	c.detail.shard(shard).seeAge(age)
}

// GetRecordsFailed counts a call that failed. throttled tells whether the shard's read limit refused it.
func (c *StreamCalls) GetRecordsFailed(took time.Duration, shard record.ShardID, throttled bool) {
	if c == nil {
		return
	}
	c.getRecordsLatency.Observe(took.Seconds())
	if throttled {
		c.throttledReads.Inc()
		c.detail.shard(shard).refuseRead()
	}
}

func (c *StreamCalls) gave(shard record.ShardID, records, bytes int) {
	c.outgoingRecords.Add(float64(records))
	c.outgoingBytes.Add(float64(bytes))
	c.detail.shard(shard).give(records, bytes)
}

// ConsumerCalls is what one registered consumer gets of a stream.
type ConsumerCalls struct {
	of                                     *StreamCalls
	began, refused                         prometheus.Counter
	eventSuccess, eventBytes, eventRecords prometheus.Counter
	eventBehind                            prometheus.Gauge
}

// Consumer returns the metrics of a registered consumer.
func (c *StreamCalls) Consumer(name string) *ConsumerCalls {
	if c == nil {
		return nil
	}
	v := &c.metrics.calls
	return &ConsumerCalls{
		of:           c,
		began:        v.subscribeSuccess.WithLabelValues(c.stream, name),
		refused:      v.subscribeRefused.WithLabelValues(c.stream, name),
		eventSuccess: v.eventSuccess.WithLabelValues(c.stream, name),
		eventBytes:   v.eventBytes.WithLabelValues(c.stream, name),
		eventRecords: v.eventRecords.WithLabelValues(c.stream, name),
		eventBehind:  v.eventBehind.WithLabelValues(c.stream, name),
	}
}

// Subscribed counts a call of SubscribeToShard: one that began a subscription, or one that a limit or another subscription
// kept from it.
func (c *ConsumerCalls) Subscribed(began bool) {
	switch {
	case c == nil:
	case began:
		c.began.Inc()
	default:
		c.refused.Inc()
	}
}

// Event counts an event that the consumer got. behind is the age of its last record; 0 at the tip of the shard.
func (c *ConsumerCalls) Event(shard record.ShardID, records, bytes int, behind time.Duration) {
	if c == nil {
		return
	}
	c.eventSuccess.Inc()
	c.eventBytes.Add(float64(bytes))
	c.eventRecords.Add(float64(records))
	c.eventBehind.Set(float64(behind.Milliseconds()))
	c.of.gave(shard, records, bytes)
}

// ForgetConsumer removes the series of a consumer that is not registered any more.
func (c *StreamCalls) ForgetConsumer(consumer string) {
	if c != nil {
		c.metrics.calls.forget(prometheus.Labels{"stream": c.stream, "consumer": consumer})
	}
}

// ShardLevel turns the metrics of single shards on that are named, by CloudWatch's names, and all others off.
func (c *StreamCalls) ShardLevel(names []string) {
	if c != nil {
		c.detail.turn(names)
	}
}
