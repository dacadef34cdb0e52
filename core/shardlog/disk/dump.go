package disk

import (
	"fmt"
	"io"
	"time"

	"github.com/leatstream/leat/core/vfs"
)

// Dump writes a line for every block, run, mark and shard operation of the log in dir. Damage is shown where it is and
// passed over. Nothing is written to the log.
func Dump(fs vfs.FS, dir string, w io.Writer) error {
	segs, err := segmentFiles(fs, dir)
	if err != nil {
		return err
	}
	for _, s := range segs {
		if err := dumpSegment(fs, s, w); err != nil {
			return fmt.Errorf("dump %s: %w", s.path, err)
		}
	}
	return nil
}

func dumpSegment(fs vfs.FS, s *segment, w io.Writer) error {
	f, err := fs.OpenRead(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	out := &lineWriter{w: w}
	out.printf("segment %d: %s, %d bytes", s.id, s.path, s.size)
	if t, err := readTrailer(f, s.id, s.size); err == nil {
		out.printf("  sealed: %d shards, %d runs, blocks end at %d, %s to %s", t.shards, t.runs, t.index, stamp(t.first), stamp(t.last))
	} else {
		out.printf("  not sealed: %v", err)
	}
	if snap, _, bad, err := readSnapshot(f, s.id); err == nil && bad == nil {
		for i := range snap.shards {
			sh := &snap.shards[i]
			out.printf("  at the start: %v next %d, opened %s, closed %s, %q", sh.id, sh.next, stamp(sh.opened), stamp(sh.closed), sh.meta)
		}
		for _, m := range snap.marks {
			out.printf("  at the start: mark of %q, %d bytes", m.Producer, len(m.State))
		}
	}
	r := blockReader{f: f, segment: s.id, end: s.size}
	for off := int64(0); off < s.size && out.err == nil; {
		h, bad, err := r.next(off)
		if err != nil {
			return err
		}
		if bad != nil {
			after, err := r.resync(off)
			if err != nil {
				return err
			}
			if after < 0 {
				if !bad.empty {
					out.printf("%d: %s: %v", bad.off, bad.region, bad.err)
				}
				break
			}
			out.printf("%d: DAMAGED %s: %v; goes on at %d", bad.off, bad.region, bad.err, after)
			off = after
			continue
		}
		out.printf("%d: %v block %d, %d bytes, %d runs, promises %d, %s", off, h.kind, h.id, h.length, h.runs, h.promised, stamp(h.time))
		if h.kind == kindRecords {
			for i := range r.table.runs {
				e := &r.table.runs[i]
				out.printf("  %v %d+%d at %d, %d bytes, arrived %s", e.shard, e.first, e.count, off+int64(e.offset), e.length, stamp(e.arrived))
			}
		}
		for _, m := range r.table.marks {
			out.printf("  mark of %q, %d bytes", m.Producer, len(m.State))
		}
		for _, op := range r.table.ops {
			verb := "close"
			if op.open {
				verb = "open"
			}
			out.printf("  %s %v at %s", verb, op.id, stamp(op.at))
		}
		off += int64(h.length)
		if h.kind == kindIndex {
			break
		}
	}
	return out.err
}

func stamp(nanos int64) string {
	if nanos == 0 {
		return "-"
	}
	return time.Unix(0, nanos).UTC().Format(time.RFC3339Nano)
}

// lineWriter keeps the first error.
type lineWriter struct {
	w   io.Writer
	err error
}

func (l *lineWriter) printf(format string, args ...any) {
	if l.err == nil {
		_, l.err = fmt.Fprintf(l.w, format+"\n", args...)
	}
}
