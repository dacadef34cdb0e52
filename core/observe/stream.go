package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat/core/record"
)

// StreamMetrics is what comes into one stream.
type StreamMetrics struct {
	metrics        *Metrics
	stream         string
	detail         *shardDetail
	bytes, records prometheus.Counter
	throttled      prometheus.Counter
	seconds        prometheus.Observer
}

// Stream returns the metrics of a stream.
func (m *Metrics) Stream(name string) *StreamMetrics {
	if m == nil {
		return nil
	}
	return &StreamMetrics{
		metrics: m, stream: name, detail: m.watched.detail(name),
		bytes:     m.incomingBytes.WithLabelValues(name),
		records:   m.incomingRecords.WithLabelValues(name),
		throttled: m.throttledWrites.WithLabelValues(name),
		seconds:   m.appendSeconds.WithLabelValues(name),
	}
}

// Incoming counts records that one append stored durably in a shard, and their bytes.
func (s *StreamMetrics) Incoming(shard record.ShardID, records int, bytes int64) {
	if s == nil {
		return
	}
	s.bytes.Add(float64(bytes))
	s.records.Add(float64(records))
	s.detail.shard(shard).take(records, bytes)
}

// Appended counts an append and how long it took to become durable, or why it failed.
func (s *StreamMetrics) Appended(took time.Duration, err error) {
	if s == nil {
		return
	}
	if err != nil {
		s.metrics.appendFailures.WithLabelValues(s.stream, codeOf(err)).Inc()
		return
	}
	s.seconds.Observe(took.Seconds())
}

// Throttled counts a record that a shard's write limit refused.
func (s *StreamMetrics) Throttled(shard record.ShardID) {
	if s != nil {
		s.throttled.Inc()
		s.detail.shard(shard).refuseWrite()
	}
}

// Forget removes the stream's series, after it was deleted.
func (s *StreamMetrics) Forget() {
	if s == nil {
		return
	}
	of := prometheus.Labels{"stream": s.stream}
	for _, v := range []*prometheus.CounterVec{s.metrics.incomingBytes, s.metrics.incomingRecords, s.metrics.throttledWrites,
		s.metrics.appendFailures, s.metrics.readBytes, s.metrics.readRecords} {
		v.DeletePartialMatch(of)
	}
	s.metrics.appendSeconds.DeletePartialMatch(of)
	s.metrics.readSeconds.DeletePartialMatch(of)
	s.metrics.iteratorAge.DeletePartialMatch(of)
	s.metrics.calls.forget(of)
	s.metrics.watched.forgetDetail(s.stream)
}

// ReaderMetrics is what one reader takes from a stream.
type ReaderMetrics struct {
	bytes, records prometheus.Counter
	seconds        prometheus.Observer
	age            prometheus.Gauge
}

// Reader returns the metrics of a delivery that reads a stream, named pipeline/sink. Names come from configuration, never
// from a client's data.
func (m *Metrics) Reader(stream, reader string) *ReaderMetrics {
	if m == nil {
		return nil
	}
	return &ReaderMetrics{
		bytes:   m.readBytes.WithLabelValues(stream, reader),
		records: m.readRecords.WithLabelValues(stream, reader),
		seconds: m.readSeconds.WithLabelValues(stream, reader),
		age:     m.iteratorAge.WithLabelValues(stream, reader),
	}
}

// Read counts the records of one read. An empty read is one at the tip.
func (r *ReaderMetrics) Read(records []record.Record, took time.Duration) {
	if r == nil {
		return
	}
	if len(records) == 0 {
		r.age.Set(0)
		return
	}
	bytes := 0
	for i := range records {
		bytes += records[i].Size()
	}
	r.bytes.Add(float64(bytes))
	r.records.Add(float64(len(records)))
	r.seconds.Observe(took.Seconds())
	r.age.Set(float64(max(0, time.Since(records[len(records)-1].ArrivedAt()).Milliseconds())))
}
