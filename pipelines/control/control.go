// Package control lets commands look into a leat that runs, found by its data directory alone: it listens at a Unix socket
// below it that no other user can reach, so that no port is open.
//
// The socket speaks HTTP:
//
//	GET /v1/pipelines   JSON: a list of [Pipeline]
//	GET /v1/tap?…       a stream of [Event], one JSON object a line, until the client goes or there is nothing more to see
//
// An answer other than 200 is an [Error] in JSON.
package control

import (
	"cmp"
	"net/url"
	"strconv"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/view"
)

// Codes of errors.
const (
	CodeNotRunning = "control.not_running" // no leat uses the data directory
	CodeNoPipeline = "control.no_pipeline"
	CodeNoStage    = "control.no_stage"
	CodeNoSink     = "control.no_sink"
	CodeNoShadow   = "control.no_shadow"
	CodeBadRequest = "control.bad_request"
	CodeTooMany    = "control.too_many" // taps
	CodeFailed     = "control.failed"   // the socket cannot be used
)

// Pipeline is a pipeline that a leat runs.
type Pipeline struct {
	Pipeline string   `json:"pipeline"`
	Running  bool     `json:"running"` // false between two versions
	Stages   []Stage  `json:"stages"`
	Sinks    []string `json:"sinks"`
}

// Stage is one stage of a pipeline.
type Stage struct {
	Name   string             `json:"name"`
	Shadow *stage.ShadowStats `json:"shadow,omitempty"`
}

// Sides of a stage, as they are asked for.
const (
	In     = "in"
	Out    = "out"
	Diff   = "diff"
	Shadow = "shadow"
)

// Request asks for a tap.
type Request struct {
	Pipeline string
	Stage    string // empty: all stages together
	Side     string // empty: Diff
	Sink     string // whose run of the stages is watched; empty: the first sink's
	Rate     int    // most records a second; 0: no limit
	Limit    int    // most records in all; 0: no limit
	Where    string // a condition of the filter transform that is true of a record or of what becomes of it; empty: none
}

func (r *Request) query() url.Values {
	return url.Values{
		"pipeline": {r.Pipeline}, "stage": {r.Stage}, "side": {r.Side}, "sink": {r.Sink},
		"where": {r.Where}, "rate": {strconv.Itoa(r.Rate)}, "limit": {strconv.Itoa(r.Limit)},
	}
}

func parseRequest(q url.Values) (r Request, err error) {
	r = Request{Pipeline: q.Get("pipeline"), Stage: q.Get("stage"), Side: cmp.Or(q.Get("side"), Diff), Sink: q.Get("sink"), Where: q.Get("where")}
	for name, to := range map[string]*int{"rate": &r.Rate, "limit": &r.Limit} {
		if *to, err = strconv.Atoi(cmp.Or(q.Get(name), "0")); err != nil || *to < 0 {
			return r, fault.New(fault.Permanent, CodeBadRequest, "%s is %q; it wants a number", name, q.Get(name))
		}
	}
	return r, nil
}

// Kinds of events of a tap.
const (
	// EventWatching is the first event: what is watched.
	EventWatching = "watching"
	// EventRecord is a record that passed.
	EventRecord = "record"
	// EventSkipped counts records that passed and are not shown.
	EventSkipped = "skipped"
	// EventUndecided counts records of which it cannot be said whether the request's condition holds.
	EventUndecided = "undecided"
	// EventStopped says that the pipeline has stopped; it may start again, in another version.
	EventStopped = "stopped"
	// EventStarted says that it has.
	EventStarted = "started"
	// EventEnded is the last event: why there is nothing more to see.
	EventEnded = "ended"
)

// Event is one event of a tap.
type Event struct {
	Event string `json:"event"`
	// Pipeline, Stage, Side and Sink are those of EventWatching; the stage is empty for all together.
	Pipeline string `json:"pipeline,omitempty"`
	Stage    string `json:"stage,omitempty"`
	Side     string `json:"side,omitempty"`
	Sink     string `json:"sink,omitempty"`
	// Records is the number of EventSkipped and EventUndecided, since the last of the kind.
	Records uint64 `json:"records,omitempty"`
	// Message is a sentence: of EventEnded, of EventUndecided why the first of all could not be decided, and of EventStopped if something is
	// wrong.
	Message string `json:"message,omitempty"`

	*Record
}

// Record is a record at a stage.
type Record struct {
	Shard          string    `json:"shard"`
	Position       uint64    `json:"position"`
	SequenceNumber string    `json:"sequence_number,omitempty"`
	Sub            uint32    `json:"sub"`
	Arrived        time.Time `json:"arrived"`
	// In is what entered; absent on the side out.
	In *view.Payload `json:"in,omitempty"`
	// Fate is what became of it; absent on the side in.
	*Fate
	// Difference and Shadow are on the side shadow.
	Difference stage.Difference `json:"difference,omitempty"`
	Shadow     *Fate            `json:"shadow,omitempty"`
}

// Fate is what a stage made of a record.
type Fate struct {
	Status string         `json:"status"` // ok, unchanged, dropped or failed
	Out    []view.Payload `json:"out,omitempty"`
	// FailedIn is the stage that failed it, and DroppedBy, on the way through all stages, the one that dropped it. Code and Reason say why it
	// failed, also in a stage that drops what it fails.
	FailedIn  string `json:"failed_in,omitempty"`
	DroppedBy string `json:"dropped_by,omitempty"`
	Code      string `json:"code,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// Values of Fate.Status.
const (
	OK        = "ok"
	Unchanged = "unchanged"
	Dropped   = "dropped"
	Failed    = "failed"
)

// Error is an error as the socket answers it.
type Error struct {
	Class   string `json:"class"` // the name of a fault.Class
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}
