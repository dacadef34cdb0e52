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
	counts            *prometheus.GaugeVec
}

func (m *Metrics) registerTransforms() {
	m.transforms = transformVecs{
		seconds:       m.histograms("transform_call_seconds", "Time of one call of a transform.", "pipeline", "stage"),
		records:       m.counters("transform_records_total", "Records given to a transform.", "pipeline", "stage"),
		failures:      m.counters("transform_call_failures_total", "Calls that failed as a whole, by error code.", "pipeline", "stage", "code"),
		failedRecords: m.counters("transform_failed_records_total", "Records that a transform failed.", "pipeline", "stage"),
		counts:        m.gauges("transform_count", "Sums of what a transform counts itself, by name.", "pipeline", "stage", "name"),
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
