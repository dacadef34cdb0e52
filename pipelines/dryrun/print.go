package dryrun

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/leatstream/leat/pipelines/view"
)

// Print shows a record to a person. Sinks for which it becomes the same are named together.
func Print(w *view.Writer, r *Record) {
	w.Head(fmt.Sprintf("%s #%d  %s  key %q", r.Shard, r.Position, r.Arrived.Format("2006-01-02 15:04:05.000"), r.In.Key))
	shown := true // what the record was
	for i := 0; i < len(r.Sinks); {
		s := &r.Sinks[i]
		names := []string{s.Sink}
		for i++; i < len(r.Sinks) && s.same(&r.Sinks[i]); i++ {
			names = append(names, r.Sinks[i].Sink)
		}
		sinks := strings.Join(names, ", ")
		switch s.Outcome {
		case Dropped, Dead:
			w.Verdict(sinks + ": " + s.verdict())
			shown = false
		default:
			for k := range s.Out {
				to := sinks
				if s.Out[k].Prefix != "" {
					to += " -> " + s.Out[k].Prefix
				}
				w.Note(to)
				w.Lines(view.Data(s.Out[k].Record.Data))
			}
		}
	}
	if !shown {
		w.Note("the record:")
		w.Lines(view.Data(r.In.Data))
	}
}

// verdict says how a record ends that is not delivered.
func (o *Outcome) verdict() string {
	text, stage := o.Outcome, fmt.Sprintf("stage %d (%s)", o.place, o.Stage)
	switch {
	case o.Outcome == Dropped && o.Code != "":
		text += " by " + stage + ", which fails it"
	case o.Outcome == Dropped:
		text += " by " + stage
	case o.Stage != "":
		text += " in " + stage
	}
	if o.Code != "" {
		text += ": " + o.Code + ": " + o.Reason
	}
	return text
}

// same reports whether two sinks would show alike.
func (o *Outcome) same(p *Outcome) bool {
	if o.Outcome != p.Outcome || o.Stage != p.Stage || o.place != p.place || o.Code != p.Code || o.Reason != p.Reason || len(o.Out) != len(p.Out) {
		return false
	}
	for k := range o.Out {
		if o.Out[k].Prefix != p.Out[k].Prefix || !bytes.Equal(o.Out[k].Record.Data, p.Out[k].Record.Data) {
			return false
		}
	}
	return true
}
