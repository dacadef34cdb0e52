package observe

import (
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat/core/shardlog"
)

// Ledger is the ledger of a delivery, in input records: In is the sum of the others.
type Ledger struct {
	In, Delivered, Dropped, Dead, Pending, Expired, Skipped uint64
}

// watched is what is looked at when somebody asks for the metrics, rather than told as it happens.
type watched struct {
	mu      sync.Mutex
	logs    map[string]shardlog.Log // by the stream's name, which is the label
	details map[string]*shardDetail // by the stream's name
	ledgers map[*ledgerWatch]struct{}
}

type ledgerWatch struct {
	pipeline, sink string
	ledger         func() Ledger
}

var (
	logSize = prometheus.NewDesc(namespace+"_log_size_bytes", "What the log of a stream takes on the disk.", []string{"stream"}, nil)
	// Both say why a log takes no writes: poisoned until a restart, full until there is room.
	logPoisoned = prometheus.NewDesc(namespace+"_log_poisoned", "1 if an i/o error has stopped all writes to the log.", []string{"stream"}, nil)
	logFull     = prometheus.NewDesc(namespace+"_log_full", "1 if the log refuses writes until there is room.", []string{"stream"}, nil)
	logShards   = prometheus.NewDesc(namespace+"_log_open_shards", "Open shards of a stream.", []string{"stream"}, nil)
	ledgerDesc  = prometheus.NewDesc(namespace+"_ledger_records", "Input records of a delivery, by what became of them.",
		[]string{"pipeline", "sink", "outcome"}, nil)
)

func newWatched() *watched {
	return &watched{logs: map[string]shardlog.Log{}, details: map[string]*shardDetail{}, ledgers: map[*ledgerWatch]struct{}{}}
}

// watchLog shows the state of a stream's log until stop is called, which must be before the log is closed.
func (m *Metrics) watchLog(stream string, log shardlog.Log) (stop func()) {
	m.watched.mu.Lock()
	defer m.watched.mu.Unlock()
	m.watched.logs[stream] = log
	return func() {
		m.watched.mu.Lock()
		defer m.watched.mu.Unlock()
		if m.watched.logs[stream] == log {
			delete(m.watched.logs, stream)
		}
	}
}

// detail returns what is counted of a stream beyond its counters; forgetDetail drops it.
func (w *watched) detail(stream string) *shardDetail {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.details[stream]
	if d == nil {
		d = &shardDetail{}
		w.details[stream] = d
	}
	return d
}

func (w *watched) forgetDetail(stream string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.details, stream)
}

// WatchLedger shows a delivery's ledger until stop is called. A pair of pipeline and sink is watched once at a time.
func (m *Metrics) WatchLedger(pipeline, sink string, ledger func() Ledger) (stop func()) {
	if m == nil {
		return func() {}
	}
	w := &ledgerWatch{pipeline, sink, ledger}
	m.watched.mu.Lock()
	m.watched.ledgers[w] = struct{}{}
	m.watched.mu.Unlock()
	return func() {
		m.watched.mu.Lock()
		delete(m.watched.ledgers, w)
		m.watched.mu.Unlock()
	}
}

// Describe implements prometheus.Collector.
func (w *watched) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{logSize, logPoisoned, logFull, logShards, ledgerDesc, getRecordsAge} {
		ch <- d
	}
	for i := range shardMetrics {
		ch <- shardMetrics[i].desc
	}
}

// Collect implements prometheus.Collector.
func (w *watched) Collect(ch chan<- prometheus.Metric) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for stream, log := range w.logs {
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, stream)
		}
		err := log.Err()
		gauge(logSize, float64(log.Size()))
		gauge(logPoisoned, oneIf(errors.Is(err, shardlog.ErrPoisoned)))
		gauge(logFull, oneIf(errors.Is(err, shardlog.ErrFull)))
		open := 0
		for _, s := range log.Shards() {
			if s.Closed.IsZero() {
				open++
			}
		}
		gauge(logShards, float64(open))
	}
	for stream, d := range w.details {
		d.collect(ch, stream, w.logs[stream])
	}
	for l := range w.ledgers {
		sums := l.ledger()
		for outcome, n := range map[string]uint64{"in": sums.In, "delivered": sums.Delivered, "dropped": sums.Dropped,
			"dead": sums.Dead, "pending": sums.Pending, "expired": sums.Expired, "skipped": sums.Skipped} {
			ch <- prometheus.MustNewConstMetric(ledgerDesc, prometheus.GaugeValue, float64(n), l.pipeline, l.sink, outcome)
		}
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
