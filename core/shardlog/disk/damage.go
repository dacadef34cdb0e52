package disk

import (
	"fmt"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog"
)

// Region names the part of a segment that is damaged.
type Region string

// The regions of a segment.
const (
	RegionHeader   Region = "header"   // a block's header
	RegionTable    Region = "table"    // a block's run table, marks and operations
	RegionRun      Region = "run"      // records
	RegionSnapshot Region = "snapshot" // the first block of a segment
	RegionPromise  Region = "promise"  // a block that carries a promise only
	RegionFooter   Region = "footer"   // index block and trailer: caches, no record is lost with them
	RegionFile     Region = "file"     // a segment is missing, cannot be read or has no sense as a whole
)

// Damage is one damaged place of a log. It is an error that is a [shardlog.ErrCorrupt].
type Damage struct {
	Path    string
	Segment uint64
	Offset  int64 // in bytes from the start of the segment
	Region  Region
	Detail  string
}

func (d *Damage) Error() string {
	return fmt.Sprintf("segment %d, offset %d, %s: %s (%s)", d.Segment, d.Offset, d.Region, d.Detail, d.Path)
}

// Unwrap makes errors.Is(d, shardlog.ErrCorrupt) true.
func (d *Damage) Unwrap() error { return shardlog.ErrCorrupt }

// fault wraps d as users see it.
func (d *Damage) fault() error {
	return &fault.Error{
		Class: fault.Permanent, Code: "log.corrupt", Message: "stored data is damaged: " + d.Error(), Err: d,
		Hint: "check the disk, then see `leat log verify` for the extent and restore the file or accept the loss",
	}
}
