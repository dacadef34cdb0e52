package dryrun

import (
	"slices"
	"time"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/spec"
	"github.com/leatstream/leat/pipelines/view"
)

// maxPrefixes bounds the groups of objects that are told apart.
const maxPrefixes = 10_000

// sink groups and frames outputs as the delivery to a sink would.
type sink struct {
	SinkSummary
	cfg      *delivery.Config
	nameless bool // what it writes has no keys, and so no prefixes
	final    stage.Final
	buffers  map[string]*buffer // by group
}

// buffer is an object that would be open.
type buffer struct {
	bytes  int64
	oldest int64 // arrival of its first record, in nanoseconds since the Unix epoch
}

func newSink(cfg *delivery.Config, to *spec.Sink) *sink {
	s := &sink{SinkSummary: SinkSummary{Sink: cfg.Name}, cfg: cfg, nameless: to.Stdout != nil, buffers: map[string]*buffer{}}
	for _, name := range cfg.Chain.Stages() {
		s.Stages = append(s.Stages, StageSummary{Stage: name})
	}
	return s
}

// outcome is what would become of the i-th record of the batch that has just passed the chain. As in a delivery, an input is
// dead as a whole if one of its outputs is.
func (s *sink) outcome(i int, in *record.Record) Outcome {
	root := &s.final.Roots[i-s.final.From]
	out := Outcome{Sink: s.Sink, Outcome: Delivered}
	switch {
	case root.Fail != nil:
		s.Dead++
		out.Outcome, out.Code, out.Reason = Dead, root.Fail.Code, root.Fail.Reason
		out.endsIn(s, root.Fail.Stage).Dead++
		return out
	case root.N == 0:
		s.Dropped++
		out.Outcome = Dropped
		out.endsIn(s, root.Discard.Stage).Dropped++
		if fail := root.Discard.Fail; fail != nil {
			out.Code, out.Reason = fail.Code, fail.Reason
		}
		return out
	}
	var groups []string
	for k := root.First; k < root.First+root.N; k++ {
		o := &s.final.Outs[k]
		group, output, err := s.form(o, in)
		if err != nil {
			s.Dead++
			return Outcome{Sink: s.Sink, Outcome: Dead, Code: fault.CodeOf(err), Reason: err.Error()}
		}
		groups, out.Out = append(groups, group), append(out.Out, output)
	}
	s.Delivered++
	for k, group := range groups {
		n := int64(len(out.Out[k].Record.Data))
		s.Outputs++
		s.Bytes += n
		if !s.nameless {
			s.collect(group, n, in.Arrived)
		}
	}
	return out
}

// endsIn notes the stage in which a record ends.
func (o *Outcome) endsIn(s *sink, stage string) *StageSummary {
	at := slices.IndexFunc(s.Stages, func(st StageSummary) bool { return st.Stage == stage })
	o.Stage, o.place = stage, at+1
	return &s.Stages[at]
}

// form is the group of an output and what it would be there.
func (s *sink) form(o *stage.Out, in *record.Record) (group string, out Output, err error) {
	id, err := s.cfg.Layout.Group(nil, o)
	if err != nil {
		return "", out, err
	}
	group = string(id)
	if out.Prefix, err = s.cfg.Layout.Prefix(group, in.ArrivedAt()); err != nil {
		return "", out, err
	}
	if s.nameless {
		out.Prefix = ""
	}
	data, err := s.cfg.Format.Append(nil, o.Data)
	out.Record = &view.Payload{Key: o.Key, Data: data, Partition: o.Partition, Attrs: o.Attrs}
	return group, out, err
}

// collect counts the objects.
func (s *sink) collect(group string, n, arrived int64) {
	b := s.buffers[group]
	if b == nil {
		if len(s.buffers) == maxPrefixes { // a guess: what is not told apart is alike
			clear(s.buffers)
		}
		b = &buffer{}
		s.buffers[group] = b
		s.Prefixes = min(s.Prefixes+1, maxPrefixes)
	}
	if b.oldest == 0 || b.bytes+n > s.cfg.BufferSize || time.Duration(arrived-b.oldest) > max(s.cfg.BufferInterval, time.Second) {
		s.Objects++
		b.bytes, b.oldest = 0, max(arrived, 1)
	}
	b.bytes += n
}
