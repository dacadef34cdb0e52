package build

import (
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/pipelines/spec/jq"
	"github.com/leatstream/leat/pipelines/spec/prefix"
)

// layout groups a sink's outputs by the partition values that its prefix uses.
type layout struct {
	prefix *prefix.Template
	query  *jq.Partitioner // nil: no partition keys from queries
}

// Group implements delivery.Layout.
func (l *layout) Group(dst []byte, out *stage.Out) ([]byte, error) {
	if l.query == nil {
		return l.prefix.Group(dst, nil, out.Partition)
	}
	var room [4]record.Attr
	keys := record.Attrs(room[:0])
	if err := l.query.Eval(out.Data, &keys); err != nil {
		return dst, err
	}
	return l.prefix.Group(dst, keys, out.Partition)
}

// Prefix implements delivery.Layout.
func (l *layout) Prefix(group string, at time.Time) (string, error) {
	return l.prefix.Key([]byte(group), at, "")
}
