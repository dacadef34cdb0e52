package control

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/builtin"
)

// where picks the records of a tap by a condition, in the language of the filter transform.
type where struct {
	filter stage.Transform
	in     *record.Batch
	out    stage.Output
	// Records that are shown: at most rate a second, 0 for no limit.
	rate   float64
	tokens float64
	filled time.Time
}

func newWhere(condition string, rate int) (*where, error) {
	config := builtin.Filter{When: condition}
	filter, err := config.Open(context.Background(), builtin.Env{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		var e *fault.Error
		errors.As(err, &e) // of Open, it always is
		return nil, fault.New(fault.Permanent, CodeBadRequest, "--where: %s", strings.TrimPrefix(e.Message, "when: ")).
			WithHint("%s", cmp.Or(e.Hint, "write it as the condition of a filter, such as status >= 500"))
	}
	return &where{filter: filter, in: record.NewBatch(), rate: float64(rate), tokens: float64(rate), filled: time.Now()}, nil
}

func (w *where) close() {
	_ = w.filter.Close(context.Background()) // it holds nothing
	w.in.Release()
	if w.out.Arena != nil {
		w.out.Arena.Release()
	}
}

// holds reports whether the condition is true of what entered or of something that became of it. If it can be said of none of
// these, as of data that is not JSON, it is false, and undecided says why.
func (w *where) holds(ctx context.Context, s *stage.Seen) (holds bool, undecided string) {
	w.in.Reset()
	w.out.Reset()
	w.in.Records = append(w.in.Records, s.In)
	for _, fate := range []*stage.Fate{&s.Fate, s.Shadow} {
		if fate == nil {
			continue
		}
		for _, o := range fate.Outs {
			r := s.In
			r.Key, r.Data, r.Attrs = o.Key, o.Data, o.Attrs
			w.in.Records = append(w.in.Records, r)
		}
	}
	if err := w.filter.Apply(ctx, w.in, &w.out); err != nil {
		return false, err.Error()
	}
	decided := false
	for i := range w.out.Results {
		switch w.out.Results[i].Status {
		case stage.Unchanged:
			return true, ""
		case stage.Dropped:
			decided = true
		}
	}
	if decided {
		return false, ""
	}
	return false, w.out.Results[0].Reason
}

// allow reports whether one more record may be shown now.
func (w *where) allow() bool {
	if w.rate == 0 {
		return true
	}
	now := time.Now()
	w.tokens = min(w.rate, w.tokens+now.Sub(w.filled).Seconds()*w.rate)
	w.filled = now
	if w.tokens < 1 {
		return false
	}
	w.tokens--
	return true
}
