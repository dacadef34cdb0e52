package observe

import (
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat/core/fault"
)

const (
	// maxCodes bounds the series of a delivery's dead letters.
	maxCodes = 64
	// maxCode is the longest code, in bytes, that is a label.
	maxCode = 128
)

// s3Kind is the kind of sink that CloudWatch has metrics of its own for.
const s3Kind = "s3"

// deliveryVecs are the metrics of deliveries, by pipeline, sink and kind of sink.
type deliveryVecs struct {
	objects, deadObjects, records, raw, stored *prometheus.CounterVec
	freshness                                  *prometheus.GaugeVec
	putSeconds                                 *prometheus.HistogramVec
	failures, deadLetters, expired             *prometheus.CounterVec
	buffers, memory, covered, unsent, spooled  *prometheus.GaugeVec
	s3Success, s3Records, s3Bytes              *prometheus.CounterVec
	s3Freshness                                *prometheus.GaugeVec
}

func (m *Metrics) registerDeliveries() {
	by := []string{"pipeline", "sink", "kind"}
	with := func(label string) []string { return append(by[:len(by):len(by)], label) }
	m.deliveries = deliveryVecs{
		objects:     m.counters("delivery_objects_total", "Objects at their destination.", by...),
		deadObjects: m.counters("delivery_dead_letter_objects_total", "Objects of dead letters at their destination.", by...),
		records:     m.counters("delivery_records_total", "Records in delivered objects.", by...),
		raw:         m.counters("delivery_raw_bytes_total", "Bytes of delivered objects before compression.", by...),
		stored:      m.counters("delivery_bytes_total", "Bytes of delivered objects as stored.", by...),
		freshness:   m.gauges("delivery_data_freshness_seconds", "Age of the oldest record in the object delivered last.", by...),
		putSeconds:  m.histograms("delivery_put_seconds", "Time of puts that succeeded.", by...),
		failures:    m.counters("delivery_put_failures_total", "Puts that failed and are tried again, by class of error.", with("class")...),
		deadLetters: m.counters("delivery_dead_letters_total", "Records written to the dead letters, by error code.", with("code")...),
		expired:     m.counters("delivery_expired_records_total", "Records that expired before they were delivered.", by...),
		buffers:     m.gauges("delivery_open_buffers", "Objects that are being collected.", by...),
		memory:      m.gauges("delivery_buffered_bytes", "Bytes of open buffers in memory.", by...),
		covered:     m.gauges("delivery_covered_set_bytes", "Size of the set of positions above the checkpoints that need no reading again.", by...),
		unsent:      m.gauges("delivery_unsent_objects", "Sealed objects that are not yet committed.", by...),
		spooled:     m.gauges("delivery_spool_bytes", "Bytes of sealed objects in the spool.", by...),
		s3Success:   m.counters("delivery_to_s3_success_total", "Puts to S3 that succeeded.", by[:2]...),
		s3Records:   m.counters("delivery_to_s3_records_total", "Records delivered to S3.", by[:2]...),
		s3Bytes:     m.counters("delivery_to_s3_bytes_total", "Bytes delivered to S3.", by[:2]...),
		s3Freshness: m.gauges("delivery_to_s3_data_freshness_seconds", "Age of the oldest record in the object delivered to S3 last.", by[:2]...),
	}
}

// DeliveryMetrics is the metrics of one delivery. It is a delivery.Observer.
type DeliveryMetrics struct {
	vecs   *deliveryVecs
	labels []string
	mu     sync.Mutex
	codes  map[string]prometheus.Counter // of dead letters

	objects, deadObjects, records, raw, stored prometheus.Counter
	freshness                                  prometheus.Gauge
	putSeconds                                 prometheus.Observer
	expired                                    prometheus.Counter
	buffers, memory, covered, unsent, spooled  prometheus.Gauge
	s3Success, s3Records, s3Bytes              prometheus.Counter // nil for other kinds
	s3Freshness                                prometheus.Gauge
}

// Delivery returns the metrics of the delivery of a pipeline to a sink. kind is the kind of sink: s3, file, http.
func (m *Metrics) Delivery(pipeline, sink, kind string) *DeliveryMetrics {
	if m == nil {
		return nil
	}
	v, by := &m.deliveries, []string{pipeline, sink, kind}
	d := &DeliveryMetrics{
		vecs: v, labels: by, codes: map[string]prometheus.Counter{},
		objects: v.objects.WithLabelValues(by...), deadObjects: v.deadObjects.WithLabelValues(by...),
		records: v.records.WithLabelValues(by...), raw: v.raw.WithLabelValues(by...), stored: v.stored.WithLabelValues(by...),
		freshness: v.freshness.WithLabelValues(by...), putSeconds: v.putSeconds.WithLabelValues(by...),
		expired: v.expired.WithLabelValues(by...), buffers: v.buffers.WithLabelValues(by...),
		memory: v.memory.WithLabelValues(by...), covered: v.covered.WithLabelValues(by...),
		unsent: v.unsent.WithLabelValues(by...), spooled: v.spooled.WithLabelValues(by...),
	}
	if kind == s3Kind {
		d.s3Success, d.s3Records = v.s3Success.WithLabelValues(by[:2]...), v.s3Records.WithLabelValues(by[:2]...)
		d.s3Bytes, d.s3Freshness = v.s3Bytes.WithLabelValues(by[:2]...), v.s3Freshness.WithLabelValues(by[:2]...)
	}
	return d
}

// Delivered counts an object at its destination: its records, its bytes before compression and as stored, and the age of
// its oldest record. dead says that it holds dead letters; those count apart.
func (d *DeliveryMetrics) Delivered(records int, raw, stored int64, freshness time.Duration, dead bool) {
	if d == nil {
		return
	}
	if dead {
		d.deadObjects.Inc()
		return
	}
	d.objects.Inc()
	d.records.Add(float64(records))
	d.raw.Add(float64(raw))
	d.stored.Add(float64(stored))
	d.freshness.Set(freshness.Seconds())
	if d.s3Records != nil {
		d.s3Records.Add(float64(records))
		d.s3Bytes.Add(float64(stored))
		d.s3Freshness.Set(freshness.Seconds())
	}
}

// Put counts one try to put an object, with its error.
func (d *DeliveryMetrics) Put(took time.Duration, err error) {
	if d == nil {
		return
	}
	if err != nil {
		d.vecs.failures.WithLabelValues(append(d.labels[:3:3], fault.ClassOf(err).String())...).Inc()
		return
	}
	d.putSeconds.Observe(took.Seconds())
	if d.s3Success != nil {
		d.s3Success.Inc()
	}
}

// DeadLetter counts a record that was written to the dead letters. Transforms choose codes too, so a delivery has at most
// maxCodes of them; the rest counts as "other".
func (d *DeliveryMetrics) DeadLetter(code string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.codes) >= maxCodes && d.codes[code] == nil || len(code) > maxCode || !utf8.ValidString(code) {
		code = "other"
	}
	if d.codes[code] == nil {
		d.codes[code] = d.vecs.deadLetters.WithLabelValues(append(d.labels[:3:3], code)...)
	}
	d.codes[code].Inc()
}

// Expired counts records that expired before they were read.
func (d *DeliveryMetrics) Expired(records int64) {
	if d != nil {
		d.expired.Add(float64(records))
	}
}

// Holding sets what the delivery holds now: open buffers, their bytes in memory, the bytes of the covered set, sealed
// objects that are not committed, and their bytes.
func (d *DeliveryMetrics) Holding(buffers int, memory, covered, unsent, spooled int64) {
	if d == nil {
		return
	}
	d.buffers.Set(float64(buffers))
	d.memory.Set(float64(memory))
	d.covered.Set(float64(covered))
	d.unsent.Set(float64(unsent))
	d.spooled.Set(float64(spooled))
}
