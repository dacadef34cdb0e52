package control

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/pipelines/view"
)

// Printer shows the events of a tap to a person: records on Out, everything else on Notes. Print is not safe for
// concurrent use.
type Printer struct {
	Out, Notes        io.Writer
	Color, NotesColor bool

	side      string
	skipped   uint64 // not yet told
	undecided uint64 // of all, of which untold are not yet told
	untold    uint64
	reason    string // why the first of these could not be decided
	told      time.Time
}

// tellEvery is the least time between two notes about records that are not shown.
const tellEvery = time.Second

// Print shows one event.
func (p *Printer) Print(e *Event) error {
	switch e.Event {
	case EventWatching:
		p.side = e.Side
		what := e.Pipeline
		if e.Stage != "" {
			what += "/" + e.Stage
		}
		return p.note("watching %s, side %s, on the way to %s; Ctrl-C ends it", what, e.Side, e.Sink)
	case EventSkipped:
		p.skipped += e.Records
		return p.tell(tellEvery)
	case EventUndecided:
		p.undecided, p.untold, p.reason = p.undecided+e.Records, p.untold+e.Records, e.Message
		return p.tell(tellEvery)
	case EventStopped:
		if e.Message != "" {
			return p.note("the pipeline cannot go on; watching until it does: %s", e.Message)
		}
		return p.note("the pipeline has stopped; watching until it goes on")
	case EventStarted:
		return p.note("the pipeline goes on")
	case EventEnded:
		if err := p.Close(); err != nil {
			return err
		}
		return p.note("%s", e.Message)
	case EventRecord:
		return p.record(e.Record)
	}
	return nil // of a newer leat
}

// Close says how many records were not shown and could not be decided, as far as that has not been said. The end, if there
// is one, does it too.
func (p *Printer) Close() error {
	all, some := p.undecided, p.undecided > p.untold // some have been told
	p.undecided = 0
	if err := p.tell(0); err != nil || !some {
		return err
	}
	return p.note("%s in all could not be decided", view.Count(all, "record"))
}

// tell tells what has not been told, unless the last time is less than a while ago.
func (p *Printer) tell(since time.Duration) error {
	if time.Since(p.told) < since {
		return nil
	}
	skipped, untold := p.skipped, p.untold
	p.skipped, p.untold, p.told = 0, 0, time.Now()
	var err error
	if skipped > 0 {
		err = p.note("%s not shown", view.Count(skipped, "record"))
	}
	if untold > 0 && err == nil {
		err = p.note("%s could not be decided: %s", view.Count(untold, "record"), p.reason)
	}
	return err
}

func (p *Printer) note(format string, args ...any) error {
	text := "-- " + view.Printable(fmt.Sprintf(format, args...))
	if p.NotesColor {
		text = "\x1b[2m" + text + "\x1b[0m"
	}
	_, err := fmt.Fprintln(p.Notes, text)
	return err
}

// record writes a record at once, so that notes do not come between its lines.
func (p *Printer) record(r *Record) error {
	w := view.Writer{Color: p.Color}
	head := fmt.Sprintf("%s #%d%s  %s", r.Shard, r.Position, sub(r.Sub), r.Arrived.Format("15:04:05.000"))
	if r.In != nil {
		head += "  key " + quoted(r.In.Key)
	}
	if r.Difference != "" {
		head += "  differs in " + string(r.Difference)
	}
	w.Head(head)
	switch {
	case p.side == In:
		entered(&w, r.In)
	case p.side == Out:
		fateOf(&w, nil, r.Fate)
	case p.side == Shadow:
		w.Note("in")
		entered(&w, r.In)
		w.Note("stage")
		fateOf(&w, nil, r.Fate)
		w.Note("shadow")
		shadowOf(&w, r)
	default:
		fateOf(&w, r.In, r.Fate)
	}
	_, err := p.Out.Write(w.Bytes())
	return err
}

func sub(n uint32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(".%d", n)
}

// entered shows what entered, if that is known; its key is in the head.
func entered(w *view.Writer, in *view.Payload) {
	if in != nil {
		about(w, in, &view.Payload{Key: in.Key})
		w.Lines(view.Data(in.Data))
	}
}

// about shows what a payload has besides its data, as far as it is not that of before, which may be nil.
func about(w *view.Writer, p, before *view.Payload) {
	var parts []string
	if before == nil || p.Key != before.Key {
		parts = append(parts, "key "+quoted(p.Key))
	}
	for _, x := range p.Partition {
		parts = append(parts, x.Name+"="+quoted(x.Value))
	}
	var old record.Attrs
	if before != nil {
		old = before.Attrs
	}
	for _, x := range p.Attrs {
		if v, ok := old.Get(x.Name); !ok || v != x.Value {
			parts = append(parts, "attr "+x.Name+"="+quoted(x.Value))
		}
	}
	if len(parts) > 0 {
		w.Note(strings.Join(parts, "  "))
	}
}

func quoted(s string) string { return view.Printable(fmt.Sprintf("%q", s)) }

// fateOf shows what became of a record; in, if not nil, is the record, of which only what has changed is shown.
func fateOf(w *view.Writer, in *view.Payload, f *Fate) {
	if f == nil {
		return
	}
	switch f.Status {
	case Dropped:
		text := "dropped"
		if f.DroppedBy != "" {
			text += " by " + f.DroppedBy
		}
		if f.Code != "" {
			text += ", which fails it: " + f.Code + ": " + f.Reason
		}
		w.Verdict(text)
		entered(w, in)
		return
	case Failed:
		text := "failed"
		if f.FailedIn != "" {
			text += " in " + f.FailedIn
		}
		w.Verdict(text + ": " + f.Code + ": " + f.Reason)
		entered(w, in)
		return
	case Unchanged:
		if in != nil {
			w.Note("unchanged")
			entered(w, in)
			return
		}
	}
	for i := range f.Out {
		out := &f.Out[i]
		if len(f.Out) > 1 {
			w.Note(fmt.Sprintf("output %d of %d", i+1, len(f.Out)))
		}
		if in == nil {
			about(w, out, nil)
			w.Lines(view.Data(out.Data))
			continue
		}
		about(w, out, in)
		lines := view.Diff(in.Data, out.Data)
		if lines == nil && !bytes.Equal(in.Data, out.Data) {
			w.Note("the same JSON, written in another way")
		} else if lines == nil {
			w.Note("the same data")
		}
		w.Lines(lines)
	}
}

// shadowOf shows what the shadow made of a record, against what the stage did.
func shadowOf(w *view.Writer, r *Record) {
	if r.Fate == nil || r.Shadow == nil {
		return
	}
	if len(r.Fate.Out) == 1 && len(r.Shadow.Out) == 1 {
		about(w, &r.Shadow.Out[0], &r.Fate.Out[0])
		w.Lines(view.Diff(r.Fate.Out[0].Data, r.Shadow.Out[0].Data))
		return
	}
	fateOf(w, nil, r.Shadow)
}
