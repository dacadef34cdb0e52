package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// transformVecs are the metrics of transforms, by pipeline and stage.
type transformVecs struct {
	seconds           *prometheus.HistogramVec
	records, failures *prometheus.CounterVec
	failedRecords     *prometheus.CounterVec
	counts, degraded  *prometheus.GaugeVec
	recycled          *prometheus.CounterVec
	fuel, fuelBytes   *prometheus.CounterVec
}

func (m *Metrics) registerTransforms() {
	m.transforms = transformVecs{
		seconds:       m.histograms("transform_call_seconds", "Time of one call of a transform.", "pipeline", "stage"),
		records:       m.counters("transform_records_total", "Records given to a transform.", "pipeline", "stage"),
		failures:      m.counters("transform_call_failures_total", "Calls that failed as a whole, by error code.", "pipeline", "stage", "code"),
		failedRecords: m.counters("transform_failed_records_total", "Records that a transform failed.", "pipeline", "stage"),
		counts:        m.gauges("transform_count", "Sums of what a transform counts itself, by name.", "pipeline", "stage", "name"),
		fuel:          m.counters("transform_fuel_total", "Work of a stage's module, in units of about one instruction.", "pipeline", "stage"),
		fuelBytes:     m.counters("transform_fuel_bytes_total", "Bytes of the frames that a stage's module did that work on.", "pipeline", "stage"),
		degraded:      m.gauges("transform_degraded", "1 while a stage fails more records than its failures setting allows, or cannot work, else 0.", "pipeline", "stage"),
		recycled:      m.counters("transform_recycled_total", "Instances of a module that were replaced between calls, by reason: memory or calls.", "pipeline", "stage", "reason"),
	}
}

// TransformMetrics is the metrics of one stage of a pipeline.
type TransformMetrics struct {
	vecs            *transformVecs
	pipeline, stage string
	seconds         prometheus.Observer
	records, failed prometheus.Counter
}

// Transform returns the metrics of a stage.
func (m *Metrics) Transform(pipeline, stage string) *TransformMetrics {
	if m == nil {
		return nil
	}
	v := &m.transforms
	return &TransformMetrics{
		vecs: v, pipeline: pipeline, stage: stage,
		seconds: v.seconds.WithLabelValues(pipeline, stage),
		records: v.records.WithLabelValues(pipeline, stage),
		failed:  v.failedRecords.WithLabelValues(pipeline, stage),
	}
}

// Call counts a call with so many records, of which the transform failed some, or an error about all of them.
func (t *TransformMetrics) Call(took time.Duration, records, failed int, err error) {
	if t == nil {
		return
	}
	t.seconds.Observe(took.Seconds())
	t.records.Add(float64(records))
	t.failed.Add(float64(failed))
	if err != nil {
		t.vecs.failures.WithLabelValues(t.pipeline, t.stage, codeOf(err)).Inc()
	}
}

// Count adds n, which may be negative, to a sum that the transform keeps itself.
func (t *TransformMetrics) Count(name string, n int64) {
	if t != nil {
		t.vecs.counts.WithLabelValues(t.pipeline, t.stage, name).Add(float64(n))
	}
}

// Fuel counts the work of one call of a module, and the bytes that it was about.
func (t *TransformMetrics) Fuel(spent, bytes uint64) {
	if t == nil {
		return
	}
	t.vecs.fuel.WithLabelValues(t.pipeline, t.stage).Add(float64(spent))
	t.vecs.fuelBytes.WithLabelValues(t.pipeline, t.stage).Add(float64(bytes))
}

// Degraded says whether the stage fails too many records, or cannot work.
func (t *TransformMetrics) Degraded(now bool) {
	if t == nil {
		return
	}
	v := 0.0
	if now {
		v = 1
	}
	t.vecs.degraded.WithLabelValues(t.pipeline, t.stage).Set(v)
}

// Recycled counts an instance that was replaced between calls. reason is memory or calls.
func (t *TransformMetrics) Recycled(reason string) {
	if t != nil {
		t.vecs.recycled.WithLabelValues(t.pipeline, t.stage, reason).Inc()
	}
}
