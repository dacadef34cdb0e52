package build

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stream"
)

// removed looks after what sinks have left which the file does not have any more: sealed objects, and the position that
// they would go on from. It is the last step, so that nothing is forgotten for a version that cannot be built.
func (b *builder) removed(source *stream.Stream) error {
	o := &b.opts
	var waiting []string
	for _, id := range delivery.List(o.Data.State, b.spec.Name) {
		named := b.hasSink(id.Sink)
		if named && id.Incarnation == source.Incarnation().String() {
			continue
		}
		left := delivery.Leftover{
			ID: id, FS: o.Data.FS, Spool: o.Data.Spool(id.Pipeline, id.Sink, id.Incarnation), State: o.Data.State, Logger: b.logger(),
		}
		n, err := left.Objects()
		if err != nil {
			return err
		}
		if n > 0 {
			switch o.Removed {
			case FinishRemoved:
				err = left.Finish(b.ctx, b.reopen)
			case AbandonRemoved:
				err = left.Abandon(b.ctx)
			default:
				waiting = append(waiting, fmt.Sprintf("%s (%d)", id.Sink, n))
				continue
			}
			if err != nil {
				return err
			}
		}
		if stream, ok := b.streamOf(id.Incarnation); ok && o.Removed != AbandonRemoved {
			what := "a sink is not in the file any more"
			if named {
				what = "a sink reads another stream now"
			}
			b.logger().Warn(what+"; it would go on from its checkpoint if it came back; --removed abandon forgets it",
				"pipeline", id.Pipeline, "sink", id.Sink, "stream", stream)
			continue
		}
		if err := left.Forget(b.ctx); err != nil {
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

// streamOf returns the name of the stream that has the incarnation, or of one that may have it but cannot be opened. ok is
// false if the stream was deleted.
func (b *builder) streamOf(incarnation string) (name string, ok bool) {
	streams := b.opts.Data.Streams
	for _, name := range streams.List() {
		s, err := streams.Get(name)
		if err != nil || s.Incarnation().String() == incarnation {
			return name, true
		}
	}
	return "", false
}

func (b *builder) hasSink(name string) bool {
	for i := range b.spec.Sinks {
		if b.spec.Sinks[i].Name == name {
			return true
		}
	}
	return false
}
