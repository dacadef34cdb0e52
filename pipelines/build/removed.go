package build

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stream"
)

// removed looks after objects that were sealed for sinks which the file does not have any more.
func (b *builder) removed(source *stream.Stream) error {
	o := &b.opts
	var waiting []string
	for _, id := range delivery.List(o.Data.State, b.spec.Name) {
		configured := id.Incarnation == source.Incarnation().String() && b.hasSink(id.Sink)
		if configured {
			continue
		}
		left := delivery.Leftover{
			ID: id, FS: o.Data.FS, Spool: o.Data.Spool(id.Pipeline, id.Sink, id.Incarnation), State: o.Data.State, Logger: b.logger(),
		}
		n, err := left.Objects()
		if err != nil {
			return err
		}
		switch {
		case n == 0 && id.Incarnation != source.Incarnation().String():
			err = left.Forget(b.ctx) // its stream is gone
		case n == 0: // the sink goes on from its checkpoint if it comes back
		case o.Removed == FinishRemoved:
			err = left.Finish(b.ctx, b.reopen)
		case o.Removed == AbandonRemoved:
			err = left.Abandon(b.ctx)
		default:
			waiting = append(waiting, fmt.Sprintf("%s (%d)", id.Sink, n))
		}
		if err != nil {
			return err
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	slices.Sort(waiting)
	return fault.New(fault.Permanent, "build.removed_sink",
		"pipeline %s has sealed objects for sinks that are not in the file any more: %s", b.spec.Name, strings.Join(waiting, ", ")).
		At(b.spec.PlaceOf("sinks")).
		WithHint("run with --removed finish to deliver them where they were sealed for, or with --removed abandon to give them up")
}

func (b *builder) hasSink(name string) bool {
	for i := range b.spec.Sinks {
		if b.spec.Sinks[i].Name == name {
			return true
		}
	}
	return false
}
