package observe

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Labels of what has no name of its own: a request that named no operation, and one without an error.
const (
	noOperation = "unknown"
	noError     = "OK"
)

// apiVecs are the metrics of requests, by API and operation.
type apiVecs struct {
	requests *prometheus.CounterVec // and by code
	seconds  *prometheus.HistogramVec
	in, out  *prometheus.CounterVec
}

func (m *Metrics) registerAPIs() {
	m.apis = apiVecs{
		requests: m.counters("api_requests_total", "Requests that were answered, by the code of the error; OK without one.", "api", "operation", "code"),
		seconds:  m.histograms("api_request_seconds", "Time from a request's header to the last byte of its answer.", "api", "operation"),
		in:       m.counters("api_request_bytes_total", "Bytes of the bodies of requests.", "api", "operation"),
		out:      m.counters("api_response_bytes_total", "Bytes of the bodies of answers.", "api", "operation"),
	}
}

// APIMetrics is the metrics of the requests to one API.
type APIMetrics struct {
	vecs *apiVecs
	api  string

	mu         sync.RWMutex
	operations map[string]*operationMetrics // at most those that the API has
}

type operationMetrics struct {
	fine    prometheus.Counter
	seconds prometheus.Observer
	in, out prometheus.Counter
}

// API returns the metrics of an API: "kinesis".
func (m *Metrics) API(name string) *APIMetrics {
	if m == nil {
		return nil
	}
	return &APIMetrics{vecs: &m.apis, api: name, operations: map[string]*operationMetrics{}}
}

// Answered counts a request. operation is one that the API has, empty if the request named none; code is that of the
// error, one of the API's, or empty.
func (a *APIMetrics) Answered(operation, code string, in, out int64, took time.Duration) {
	if a == nil {
		return
	}
	if operation == "" {
		operation = noOperation
	}
	o := a.operation(operation)
	if code == "" {
		o.fine.Inc()
	} else {
		a.vecs.requests.WithLabelValues(a.api, operation, code).Inc()
	}
	o.seconds.Observe(took.Seconds())
	o.in.Add(float64(in))
	o.out.Add(float64(out))
}

func (a *APIMetrics) operation(name string) *operationMetrics {
	a.mu.RLock()
	o := a.operations[name]
	a.mu.RUnlock()
	if o != nil {
		return o
	}
	o = &operationMetrics{
		fine:    a.vecs.requests.WithLabelValues(a.api, name, noError),
		seconds: a.vecs.seconds.WithLabelValues(a.api, name),
		in:      a.vecs.in.WithLabelValues(a.api, name),
		out:     a.vecs.out.WithLabelValues(a.api, name),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.operations[name] = o
	return o
}
