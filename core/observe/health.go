package observe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// checkTimeout is how long /healthz waits for its checks, which run at the same time.
const checkTimeout = 2 * time.Second

// Health collects the checks of leat's parts. The zero value is ready to use; it is safe for concurrent use.
type Health struct {
	mu     sync.Mutex
	checks map[string]*check
}

type check struct {
	run     func() error
	mu      sync.Mutex
	pending chan error // the answer of a run that has not been waited for; nil if none is under way
}

// Register adds a check: nil is well, an error says what is not, and one made by [Degraded] that it does not keep anything
// from running. It is called at each request and should answer at once.
// A check of the same name is replaced. The returned function removes it.
func (h *Health) Register(name string, run func() error) (remove func()) {
	c := &check{run: run}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.checks == nil {
		h.checks = map[string]*check{}
	}
	h.checks[name] = c
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.checks[name] == c {
			delete(h.checks, name)
		}
	}
}

// Degraded marks the error of a check as one that somebody should look at although everything that should run does.
// Degraded(nil) is nil.
func Degraded(err error) error {
	if err == nil {
		return nil
	}
	return &degraded{err}
}

type degraded struct{ error }

func (d *degraded) Unwrap() error { return d.error }

// HealthReport is the body of /healthz.
type HealthReport struct {
	Status string                 `json:"status"` // ok, degraded or failing: the worst of its checks
	Checks map[string]CheckReport `json:"checks"`
}

// CheckReport is the outcome of one check.
type CheckReport struct {
	Status string `json:"status"` // ok, degraded or failing
	Error  string `json:"error,omitempty"`
}

const (
	statusOK       = "ok"
	statusDegraded = "degraded"
	statusFailing  = "failing"
)

// Check runs all checks and reports them.
func (h *Health) Check() HealthReport {
	h.mu.Lock()
	checks := make(map[string]*check, len(h.checks))
	for name, c := range h.checks {
		checks[name] = c
	}
	h.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	report := HealthReport{Status: statusOK, Checks: make(map[string]CheckReport, len(checks))}
	answers := make(map[string]chan error, len(checks))
	for name, c := range checks {
		answers[name] = c.start()
	}
	for name, answer := range answers {
		outcome := CheckReport{Status: statusOK}
		if err := checks[name].await(ctx, answer); err != nil {
			outcome = CheckReport{Status: statusFailing, Error: err.Error()}
			if mild := new(degraded); errors.As(err, &mild) {
				outcome.Status = statusDegraded
			}
			if report.Status != statusFailing {
				report.Status = outcome.Status
			}
		}
		report.Checks[name] = outcome
	}
	return report
}

// start begins a run, unless an earlier one hangs: then that one's answer is awaited, so that a disk that does not answer
// costs one goroutine and not one a request.
func (c *check) start() chan error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == nil {
		answer := make(chan error, 1)
		c.pending = answer
		go func() { answer <- c.run() }()
	}
	return c.pending
}

func (c *check) await(ctx context.Context, answer chan error) error {
	var err error
	select {
	case err = <-answer:
	default:
		select {
		case err = <-answer:
		case <-ctx.Done():
			return fmt.Errorf("no answer within %v", checkTimeout)
		}
	}
	answer <- err // for another request that waits for the same run
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == answer {
		c.pending = nil
	}
	return err
}

// ServeHTTP answers with a HealthReport: 503 if a check fails, else 200, also if one is degraded.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	report := h.Check()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if report.Status == statusFailing {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.Encode(report) // a client that is gone does not matter
}
