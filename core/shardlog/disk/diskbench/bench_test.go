package diskbench

import (
	"testing"
	"time"
)

// TestEveryFigureIsMeasured runs each figure for a moment. What it measures means nothing.
func TestEveryFigureIsMeasured(t *testing.T) {
	rows, err := Run(t.Context(), Options{Dir: t.TempDir(), Round: 50 * time.Millisecond, Rounds: 1, OpenBytes: 8 * mib, readBytes: 8 * mib})
	if err != nil || len(rows) != len(Names()) {
		t.Fatalf("%d figures of %d: %v", len(rows), len(Names()), err)
	}
	for _, r := range rows {
		if r.Leat <= 0 {
			t.Errorf("%+v", r)
		}
		t.Logf("%+v", r)
	}
	if _, err := Run(t.Context(), Options{Only: []string{"speed"}}); err == nil {
		t.Error("an unknown figure was taken")
	}
}

func BenchmarkFigures(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			rows, err := Run(b.Context(), Options{Dir: b.TempDir(), Round: 500 * time.Millisecond, Rounds: 3, OpenBytes: 256 * mib, Only: []string{name}})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(rows[0].Leat, rows[0].Unit)
			b.ReportMetric(rows[0].Ratio, "ratio")
			b.ReportMetric(float64(rows[0].P99.Microseconds()), "p99-us")
		})
	}
}
