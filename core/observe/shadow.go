package observe

import "github.com/prometheus/client_golang/prometheus"

// shadowVecs are the metrics of the shadows of stages, by pipeline and stage.
type shadowVecs struct {
	records, skipped, differences *prometheus.CounterVec
}

func (m *Metrics) registerShadows() {
	m.shadows = shadowVecs{
		records:     m.counters("shadow_records_total", "Records of which a shadow's result was compared with its stage's.", "pipeline", "stage"),
		skipped:     m.counters("shadow_skipped_records_total", "Records of the sample that a shadow did not see, for it was behind.", "pipeline", "stage"),
		differences: m.counters("shadow_differences_total", "Records of which a shadow would have made something else, by kind.", "pipeline", "stage", "kind"),
	}
}

// ShadowMetrics is the metrics of one stage's shadow.
type ShadowMetrics struct {
	records, skipped prometheus.Counter
	differences      *prometheus.CounterVec
}

// Shadow returns the metrics of a stage's shadow, which finds differences of the given kinds.
func (m *Metrics) Shadow(pipeline, stage string, kinds ...string) *ShadowMetrics {
	if m == nil {
		return nil
	}
	by := prometheus.Labels{"pipeline": pipeline, "stage": stage}
	s := &ShadowMetrics{
		records: m.shadows.records.With(by), skipped: m.shadows.skipped.With(by), differences: m.shadows.differences.MustCurryWith(by),
	}
	for _, kind := range kinds { // a rate needs the 0 before the first
		s.differences.WithLabelValues(kind)
	}
	return s
}

// Compared counts records that were compared.
func (s *ShadowMetrics) Compared(records int) {
	if s != nil {
		s.records.Add(float64(records))
	}
}

// Different counts a record that differs.
func (s *ShadowMetrics) Different(kind string) {
	if s != nil {
		s.differences.WithLabelValues(kind).Inc()
	}
}

// Skipped counts records of the sample that were not compared.
func (s *ShadowMetrics) Skipped(records int) {
	if s != nil {
		s.skipped.Add(float64(records))
	}
}
