package control

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/engine"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/pipelines/view"
)

// breath is the time between two reports of what is not shown, and the longest that a record waits for company.
const breath = 250 * time.Millisecond

// target is what a request names in one version of a pipeline.
type target struct {
	delivery *delivery.Config
	stage    int
	side     stage.Side
}

var sides = map[string]stage.Side{In: stage.SideIn, Out: stage.SideOut, Diff: stage.SideDiff, Shadow: stage.SideShadow}

// aim finds what a request names. Errors say what there is instead.
func aim(p *engine.Pipeline, r *Request) (t target, err error) {
	var ok bool
	if t.side, ok = sides[r.Side]; !ok {
		return t, fault.New(fault.Permanent, CodeBadRequest, "a stage has no side %q", r.Side).WithHint("sides are in, out, diff and shadow")
	}
	t.delivery = &p.Deliveries[0]
	if r.Sink != "" {
		var names []string
		for i := range p.Deliveries {
			names = append(names, p.Deliveries[i].Name)
		}
		at := slices.Index(names, r.Sink)
		if at < 0 {
			e := fault.New(fault.Permanent, CodeNoSink, "pipeline %s has no sink %q", p.Name, r.Sink)
			e.Hint = spec.Suggest(r.Sink, names)
			return t, e
		}
		t.delivery = &p.Deliveries[at]
	}
	names := t.delivery.Chain.Stages()
	none := fault.New(fault.Permanent, CodeNoStage, "pipeline %s has no transforms", p.Name).
		WithHint("--side in and --side out without a stage show what it delivers")
	if r.Stage == "" {
		t.stage = stage.WholeChain
		if len(names) == 0 && t.side != stage.SideIn && t.side != stage.SideOut {
			return t, none
		}
		if t.side == stage.SideShadow {
			return t, fault.New(fault.Permanent, CodeBadRequest, "the side shadow is that of one stage").
				WithHint("name it: %s/%s", p.Name, strings.Join(names, "|"))
		}
		return t, nil
	}
	if len(names) == 0 {
		return t, none
	}
	if t.stage = slices.Index(names, r.Stage); t.stage < 0 {
		e := fault.New(fault.Permanent, CodeNoStage, "pipeline %s has no stage %q", p.Name, r.Stage)
		e.Hint = spec.Suggest(r.Stage, names)
		return t, e
	}
	if t.side == stage.SideShadow {
		if first := &p.Deliveries[0]; t.delivery != first {
			return t, fault.New(fault.Permanent, CodeNoShadow, "shadows see what the first sink's run of the stages sees, and that is %s's", first.Name)
		}
		if t.delivery.Chain.Shadow(t.stage) == nil {
			return t, fault.New(fault.Permanent, CodeNoShadow, "stage %s of pipeline %s has no shadow", r.Stage, p.Name)
		}
	}
	return t, nil
}

// tap answers with what passes, through all versions of the pipeline.
func (s *Server) tap(w http.ResponseWriter, req *http.Request) {
	r, err := parseRequest(req.URL.Query())
	if err != nil {
		refuse(w, err)
		return
	}
	running, err := s.find(r.Pipeline)
	if err != nil {
		refuse(w, err)
		return
	}
	select {
	case s.taps <- struct{}{}:
		defer func() { <-s.taps }()
	default:
		refuse(w, fault.New(fault.Throttled, CodeTooMany, "%d taps are open already", maxTaps).WithHint("close one of them"))
		return
	}
	var only *where
	if r.Where != "" {
		if only, err = newWhere(r.Where, r.Rate); err != nil {
			refuse(w, err)
			return
		}
		defer only.close()
	}
	out := newTapWriter(w, r)
	out.where = only
	for {
		version, message, removed, changed := running.current()
		switch {
		case removed:
			out.end(sentence("the pipeline has ended", message))
			return
		case version == nil && out.began:
			out.send(&Event{Event: EventStopped, Message: message})
		}
		if version == nil {
			select {
			case <-changed:
				continue
			case <-s.ending:
				out.end(sentence("leat was stopped", message))
			case <-req.Context().Done():
			}
			return
		}
		at, err := aim(version, &r)
		if err != nil && !out.began {
			refuse(w, err)
			return
		}
		if err != nil { // a newer version does not have it
			out.end(err.Error())
			return
		}
		if !out.watch(req.Context(), at, changed, s.ending) {
			return
		}
	}
}

func sentence(what, message string) string {
	if message != "" {
		return what + ": " + message
	}
	return what
}

// tapWriter writes the events of one tap.
type tapWriter struct {
	buffered *bufio.Writer
	encoder  *json.Encoder
	flusher  *http.ResponseController
	request  Request
	where    *where
	left     int // records until the limit, which is reached at 0
	began    bool
	failed   error

	passed    uint64 // records for which where holds and that the rate keeps from being shown, not told yet
	undecided uint64 // records of which it cannot say, not told yet
	reason    string // why it could not, of the first
}

func newTapWriter(w http.ResponseWriter, r Request) *tapWriter {
	t := &tapWriter{flusher: http.NewResponseController(w), request: r, left: r.Limit, buffered: bufio.NewWriterSize(w, 32<<10)}
	t.encoder = json.NewEncoder(t.buffered)
	t.encoder.SetEscapeHTML(false)
	return t
}

// send sends an event at once.
func (t *tapWriter) send(e *Event) {
	t.began = true
	t.write(e)
	t.flush()
}

func (t *tapWriter) end(message string) { t.send(&Event{Event: EventEnded, Message: message}) }

func (t *tapWriter) endAtLimit() {
	t.end(fmt.Sprintf("that is all that was asked for: --limit %d", t.request.Limit))
}

func (t *tapWriter) write(e *Event) {
	if t.failed == nil {
		t.failed = t.encoder.Encode(e)
	}
}

func (t *tapWriter) flush() {
	if t.failed == nil {
		t.failed = t.buffered.Flush()
	}
	if t.failed == nil {
		t.failed = t.flusher.Flush()
	}
}

// watch shows one version until it changes. It is false if that was all.
func (t *tapWriter) watch(ctx context.Context, at target, changed, ending <-chan struct{}) (more bool) {
	cfg := stage.WatchConfig{Stage: at.stage, Side: at.side, Rate: t.request.Rate}
	if t.where != nil {
		cfg.Rate = 0 // the rate is of those that are picked
	}
	w := at.delivery.Chain.Tap().Watch(cfg)
	defer w.Close()
	if t.began {
		t.send(&Event{Event: EventStarted})
	} else { // whoever waits for it can be sure to see what comes
		r := &t.request
		t.send(&Event{Event: EventWatching, Pipeline: r.Pipeline, Stage: r.Stage, Side: r.Side, Sink: at.delivery.Name})
	}
	tick := time.NewTicker(breath)
	defer tick.Stop()
	told := uint64(0)
	tell := func() {
		skipped := w.Skipped()
		if n := skipped - told + t.passed; n > 0 {
			t.write(&Event{Event: EventSkipped, Records: n})
			told, t.passed = skipped, 0
		}
		if t.undecided > 0 {
			t.write(&Event{Event: EventUndecided, Records: t.undecided, Message: t.reason})
			t.undecided = 0
		}
	}
	for t.failed == nil {
		select {
		case s := <-w.C:
			w.Took(s)
			if t.show(ctx, s, at) {
				tell()
				t.endAtLimit()
				return false
			}
			if len(w.C) == 0 {
				t.flush()
			}
		case <-tick.C:
			tell()
			t.flush()
		case <-changed:
			last := t.rest(ctx, w, at)
			tell()
			if last {
				t.endAtLimit()
			}
			return !last && t.failed == nil
		case <-ending:
			t.rest(ctx, w, at)
			tell()
			t.end("leat was stopped")
			return false
		case <-ctx.Done():
			return false
		}
	}
	return false
}

// show writes a record, if it is to be shown. It reports whether that was the last one of the limit.
func (t *tapWriter) show(ctx context.Context, s *stage.Seen, at target) (last bool) {
	if t.where != nil {
		holds, undecided := t.where.holds(ctx, s)
		if undecided != "" {
			t.undecided++
			if t.reason == "" {
				t.reason = strings.Clone(undecided) // from the memory of where
			}
		}
		if !holds {
			return false
		}
		if !t.where.allow() {
			t.passed++
			return false
		}
	}
	t.write(&Event{Event: EventRecord, Record: t.record(s, at)})
	t.left--
	return t.left == 0
}

// rest writes what was seen before the end, up to the limit. It reports whether that was reached.
func (t *tapWriter) rest(ctx context.Context, w *stage.Watch, at target) (last bool) {
	for {
		select {
		case s := <-w.C:
			w.Took(s)
			if t.show(ctx, s, at) {
				return true
			}
		default:
			return false
		}
	}
}

func (t *tapWriter) record(s *stage.Seen, at target) *Record {
	r := &Record{
		Shard: s.In.Shard.String(), Position: s.In.Seq, Sub: s.In.Sub, Arrived: s.In.ArrivedAt(), Difference: s.Difference,
	}
	if number := at.delivery.Source.SequenceNumber; number != nil {
		r.SequenceNumber = number(&s.In)
	}
	if at.side != stage.SideOut {
		r.In = &view.Payload{Key: s.In.Key, Data: s.In.Data, Attrs: s.In.Attrs}
	}
	if at.side != stage.SideIn {
		r.Fate = fate(&s.Fate)
	}
	if s.Shadow != nil {
		r.Shadow = fate(s.Shadow)
	}
	return r
}

var statuses = [...]string{stage.OK: OK, stage.Unchanged: Unchanged, stage.Dropped: Dropped, stage.Failed: Failed}

func fate(f *stage.Fate) *Fate {
	out := &Fate{Status: statuses[f.Status], Code: f.Code, Reason: f.Reason}
	if f.Status == stage.Dropped {
		out.DroppedBy = f.Stage
	} else {
		out.FailedIn = f.Stage
	}
	for _, o := range f.Outs {
		out.Out = append(out.Out, view.Payload{Key: o.Key, Data: o.Data, Partition: o.Partition, Attrs: o.Attrs})
	}
	return out
}
