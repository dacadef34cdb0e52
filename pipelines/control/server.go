package control

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/pipelines/spec"
)

// Server answers at the socket of a data directory. Its methods do nothing on nil.
type Server struct {
	socket *socket
	http   http.Server
	log    *slog.Logger
	served sync.WaitGroup
	taps   chan struct{} // one element for each tap that is open
	ending chan struct{} // closed by Close

	mu        sync.Mutex
	pipelines map[string]*Running
}

// maxTaps bounds the taps that are open at a time.
const maxTaps = 16

// Listen serves the data directory, which the caller has opened. It ends with Close.
func Listen(dataDir string, logger *slog.Logger) (*Server, error) {
	socket, err := listen(dataDir)
	if err != nil {
		return nil, fault.New(fault.Unavailable, CodeFailed, "listen at the control socket: %w", err)
	}
	s := &Server{
		socket: socket, log: logger, taps: make(chan struct{}, maxTaps), ending: make(chan struct{}), pipelines: map[string]*Running{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/pipelines", s.list)
	mux.HandleFunc("GET /v1/tap", s.tap)
	s.http = http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	s.served.Go(func() {
		if err := s.http.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
			logger.Warn("the control socket does not answer any more", "error", err)
		}
	})
	return s, nil
}

// farewell is how long taps get to take their last event.
const farewell = time.Second

// Close tells the taps that this is the end, and removes the socket.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	close(s.ending)
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil { // a client has not read what there was
		_ = s.http.Close()
	}
	s.served.Wait()
	return s.socket.Close()
}

// Running is a pipeline that runs, in one version after the other. Its methods do nothing on nil.
type Running struct {
	server *Server
	name   string

	mu      sync.Mutex
	version *engine.Pipeline // nil between two
	message string           // why there is none
	changed chan struct{}    // closed and replaced with version
	removed bool
}

// Add shows a pipeline of that name, of which no version runs yet.
func (s *Server) Add(name string) *Running {
	if s == nil {
		return nil
	}
	r := &Running{server: s, name: name, changed: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pipelines[name] = r
	return r
}

// Starts says that a version starts to run.
func (r *Running) Starts(p *engine.Pipeline) { r.set(p, "", false) }

// Stops says that the version has stopped; err is why it cannot go on, or nil if it can and was told to stop.
func (r *Running) Stops(err error) {
	message := ""
	if err != nil {
		message = err.Error()
	}
	r.set(nil, message, false)
}

// Remove says that no other version comes.
func (r *Running) Remove() {
	if r == nil {
		return
	}
	r.server.mu.Lock()
	if r.server.pipelines[r.name] == r {
		delete(r.server.pipelines, r.name)
	}
	r.server.mu.Unlock()
	r.set(nil, "", true)
}

func (r *Running) set(p *engine.Pipeline, message string, removed bool) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if removed && message == "" {
		message = r.message
	}
	r.version, r.message, r.removed = p, message, r.removed || removed
	close(r.changed)
	r.changed = make(chan struct{})
}

// current returns the version that runs, if any, and what closes when that changes.
func (r *Running) current() (p *engine.Pipeline, message string, removed bool, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.version, r.message, r.removed, r.changed
}

// find returns the pipeline of a name.
func (s *Server) find(name string) (*Running, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.pipelines[name]; r != nil {
		return r, nil
	}
	e := fault.New(fault.Permanent, CodeNoPipeline, "no pipeline %q runs there", name)
	e.Hint = spec.Suggest(name, slices.Sorted(maps.Keys(s.pipelines)))
	return nil, e
}

// list answers which pipelines run.
func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	running := make([]*Running, 0, len(s.pipelines))
	for _, name := range slices.Sorted(maps.Keys(s.pipelines)) {
		running = append(running, s.pipelines[name])
	}
	s.mu.Unlock()
	all := []Pipeline{}
	for _, r := range running {
		version, _, _, _ := r.current()
		p := Pipeline{Pipeline: r.name, Running: version != nil, Stages: []Stage{}, Sinks: []string{}}
		if version != nil {
			for i := range version.Deliveries {
				p.Sinks = append(p.Sinks, version.Deliveries[i].Name)
			}
			chain := version.Deliveries[0].Chain
			for i, name := range chain.Stages() {
				st := Stage{Name: name}
				if shadow := chain.Shadow(i); shadow != nil {
					stats := shadow.Stats()
					st.Shadow = &stats
				}
				p.Stages = append(p.Stages, st)
			}
		}
		all = append(all, p)
	}
	answer(w, http.StatusOK, all)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone reads nothing
}

// refuse answers an error.
func refuse(w http.ResponseWriter, err error) {
	var e *fault.Error
	if !errors.As(err, &e) {
		e = fault.New(fault.Retryable, CodeFailed, "%w", err)
	}
	status := http.StatusNotFound
	switch e.Code {
	case CodeBadRequest:
		status = http.StatusBadRequest
	case CodeTooMany:
		status = http.StatusServiceUnavailable
	}
	answer(w, status, Error{Class: e.Class.String(), Code: e.Code, Message: e.Message, Hint: e.Hint})
}
