package observe

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/leatstream/leat/core/fault"
)

const namespace = "leat"

// latencyBuckets reach, in seconds, from a write into memory to a disk that hangs.
var latencyBuckets = prometheus.ExponentialBuckets(50e-6, 2, 18) // 50 us to 6.6 s

// Metrics is all metrics of a process. Its methods do nothing on nil, and the structs that they return then are nil.
type Metrics struct {
	registry *prometheus.Registry
	watched  *watched

	// By stream.
	incomingBytes, incomingRecords *prometheus.CounterVec
	throttledWrites                *prometheus.CounterVec
	appendSeconds                  *prometheus.HistogramVec
	appendFailures                 *prometheus.CounterVec
	// By stream and reader.
	readBytes, readRecords *prometheus.CounterVec
	iteratorAge            *prometheus.GaugeVec
	readSeconds            *prometheus.HistogramVec

	syncSeconds, writeSeconds prometheus.Histogram
	writtenBytes              prometheus.Counter
	ioFailures                *prometheus.CounterVec

	apis       apiVecs
	calls      callVecs
	deliveries deliveryVecs
	transforms transformVecs
	shadows    shadowVecs
}

// NewMetrics returns metrics in a registry of their own, together with those of the Go runtime and the process.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), watched: newWatched()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.watched)

	m.incomingBytes = m.counters("incoming_bytes_total", "Bytes of keys and data stored durably.", "stream")
	m.incomingRecords = m.counters("incoming_records_total", "Records stored durably.", "stream")
	m.throttledWrites = m.counters("write_provisioned_throughput_exceeded_total", "Records refused by the write limit of a shard.", "stream")
	m.appendSeconds = m.histograms("log_append_seconds", "Time until an append was durable.", "stream")
	m.appendFailures = m.counters("log_append_failures_total", "Appends that failed, by error code.", "stream", "code")

	m.readBytes = m.counters("get_records_bytes_total", "Bytes of keys and data read.", "stream", "reader")
	m.readRecords = m.counters("get_records_records_total", "Records read.", "stream", "reader")
	m.readSeconds = m.histograms("get_records_seconds", "Time of a read that returned records.", "stream", "reader")
	m.iteratorAge = m.gauges("iterator_age_milliseconds", "Age of the last record read; 0 when the reader is at the tip.", "stream", "reader")

	m.syncSeconds = m.histogram("fsync_seconds", "Time of syncs of files.")
	m.writeSeconds = m.histogram("disk_write_seconds", "Time of writes to files.")
	m.writtenBytes = prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "disk_written_bytes_total", Help: "Bytes written to files."})
	m.registry.MustRegister(m.writtenBytes)
	m.ioFailures = m.counters("disk_failures_total", "Operations on files that failed, by operation.", "op")

	m.registerAPIs()
	m.registerCalls()
	m.registerDeliveries()
	m.registerTransforms()
	m.registerShadows()
	return m
}

// Handler serves the metrics page.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) histograms(name, help string, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: latencyBuckets,
	}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) histogram(name, help string) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: latencyBuckets})
	m.registry.MustRegister(h)
	return h
}

// codeOf is an error's code for a label, from a small set: those of leat's errors.
func codeOf(err error) string { return fault.CodeOf(err) }
