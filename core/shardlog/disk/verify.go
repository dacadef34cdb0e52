package disk

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/vfs"
)

// Summary is what Verify looked at.
type Summary struct {
	Segments, Blocks int
	Runs, Records    int64
	Bytes            int64 // of blocks and footers
	Damaged          int   // places reported
}

// Verify reads every byte of the log in dir that was ever acked, and compares checksums, positions and indexes. It calls
// report for each damaged place and goes on behind it where that is possible. Nothing is written. The log should not be
// open elsewhere. The error is about reading, not about damage.
func Verify(fs vfs.FS, dir string, report func(Damage)) (Summary, error) {
	v := verifier{next: map[record.ShardID]uint64{}}
	v.report = func(d Damage) {
		v.sum.Damaged++
		report(d)
	}
	segs, err := segmentFiles(fs, dir)
	var d *Damage
	if errors.As(err, &d) {
		v.report(*d)
		return v.sum, nil
	}
	if err != nil {
		return v.sum, err
	}
	ends := make([]uint64, len(segs)+1) // where a segment's blocks end, as the head of the next one says; 0: unknown
	for i, s := range segs[min(1, len(segs)):] {
		if ends[i], err = prevEnd(fs, s); err != nil {
			return v.sum, fmt.Errorf("verify %s: %w", s.path, err)
		}
	}
	for i, s := range segs {
		if err := v.segment(fs, s, int64(ends[i])); err != nil {
			return v.sum, fmt.Errorf("verify %s: %w", s.path, err)
		}
	}
	return v.sum, nil
}

func prevEnd(fs vfs.FS, s *segment) (uint64, error) {
	f, err := fs.OpenRead(s.path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	snap, _, bad, err := readSnapshot(f, s.id)
	if err != nil || bad != nil {
		return 0, err
	}
	return snap.prevEnd, nil
}

type verifier struct {
	sum    Summary
	report func(Damage)
	next   map[record.ShardID]uint64 // positions, as far as they are known
	prev   uint64                    // segment before, and where its blocks end
	end    int64
}

// segment checks one segment. known is where its blocks end if the next segment's head says so.
func (v *verifier) segment(fs vfs.FS, s *segment, known int64) error {
	f, err := fs.OpenRead(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	bad := func(off int64, region Region, err error) {
		v.report(Damage{Path: s.path, Segment: s.id, Offset: off, Region: region, Detail: err.Error()})
	}
	v.sum.Segments++
	snap, head, wrong, err := readSnapshot(f, s.id)
	if err != nil {
		return err
	}
	footer, footerErr := readTrailer(f, s.id, s.size)
	if isIO(footerErr) {
		return footerErr
	}
	// A file is cut only behind a durable footer, so all blocks of a cut file were acked.
	cut := wrong == nil && int64(snap.capacity) != s.size
	r := blockReader{f: f, segment: s.id, end: s.size, nonce: head.nonce}
	off := int64(0)
	if wrong != nil {
		promised, err := r.promisedBeyond(0)
		if err != nil {
			return err
		}
		if promised == 0 && known == 0 && footerErr != nil {
			v.sum.Segments--
			return nil // prepared and never used
		}
		bad(wrong.off, wrong.region, wrong.err)
		clear(v.next)
	} else {
		v.chain(snap, bad)
		off = int64(head.length)
		v.sum.Blocks++
	}
	index := runIndex{}
	for {
		h, wrong, err := r.next(off)
		if err != nil {
			return err
		}
		if wrong == nil {
			v.sum.Blocks++
			if h.kind == kindIndex {
				break
			}
			v.block(&h, &r.table, off, index, bad)
			off += int64(h.length)
			continue
		}
		promised, err := r.promisedBeyond(off)
		if err != nil {
			return err
		}
		acked := promised > off || known > off || cut && !(footerErr == nil && off >= int64(footer.index))
		if !acked {
			break // the tail, which was never acked, or a footer that is looked at below
		}
		after, err := r.resync(off)
		if err != nil {
			return err
		}
		bad(wrong.off, wrong.region, wrong.err)
		clear(v.next)
		if after < 0 {
			break
		}
		off = after
	}
	v.prev, v.end = s.id, off
	v.sum.Bytes += off
	if footerErr != nil {
		// An unsealed segment has no trailer; one that was cut has lost it.
		if cut {
			bad(s.size-trailerSize, RegionFooter, footerErr)
		}
		return nil
	}
	return v.footer(f, s, &footer, index, bad)
}

// chain compares a segment's snapshot with the end of the segment before it.
func (v *verifier) chain(s *snapshot, bad func(int64, Region, error)) {
	if v.prev != 0 && (s.prev != v.prev || int64(s.prevEnd) != v.end) {
		bad(0, RegionSnapshot, fmt.Errorf("segment %d ends at %d, the snapshot says that %d ends at %d", v.prev, v.end, s.prev, s.prevEnd))
	}
	for i := range s.shards {
		sh := &s.shards[i]
		if at, known := v.next[sh.id]; known && at != sh.next {
			bad(0, RegionSnapshot, fmt.Errorf("%v stands at %d, the snapshot says %d", sh.id, at, sh.next))
		}
		v.next[sh.id] = sh.next
	}
}

func (v *verifier) block(h *blockHeader, t *blockTable, off int64, index runIndex, bad func(int64, Region, error)) {
	for i := range t.runs {
		e := &t.runs[i]
		if e.count == 0 || h.kind != kindRecords {
			continue
		}
		v.sum.Runs++
		v.sum.Records += int64(e.count)
		if at, known := v.next[e.shard]; known && at != e.first {
			bad(off+int64(h.table), RegionTable, fmt.Errorf("%v goes on at %d, where %d comes next", e.shard, e.first, at))
		}
		v.next[e.shard] = e.first + uint64(e.count)
		index.add(e, off)
	}
	for _, op := range t.ops {
		if op.open {
			v.next[op.id] = 1
		}
	}
}

// footer compares the index with the blocks.
func (v *verifier) footer(f vfs.File, s *segment, t *trailer, index runIndex, bad func(int64, Region, error)) error {
	body, err := readIndex(f, t)
	if isIO(err) {
		return err
	}
	if err != nil {
		bad(int64(t.index), RegionFooter, err)
		return nil
	}
	v.sum.Bytes += int64(t.length) + trailerSize
	state := body[len(body)-int(t.state):]
	if _, err := parseSnapshot(state); err != nil {
		bad(int64(t.index), RegionFooter, err)
	}
	if want, _, _ := indexBody(index, state); int64(t.index) == v.end && v.sum.Damaged == 0 && !bytes.Equal(want, body) {
		bad(int64(t.index), RegionFooter, fmt.Errorf("the index differs from the blocks"))
	}
	if int64(t.index) > v.end {
		bad(v.end, RegionHeader, fmt.Errorf("blocks end here, the trailer says at %d", t.index))
	}
	return nil
}
