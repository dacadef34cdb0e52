package delivery

import (
	"context"
	"errors"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// skipSet holds the positions of a shard that were covered before this run.
type skipSet struct {
	from uint64 // all before it are covered
	bits *roaring64.Bitmap
	max  uint64
}

// covers reports whether the reader must pass over a position.
func (s *skipSet) covers(seq uint64) bool {
	return seq < s.from || seq <= s.max && s.bits.Contains(seq)
}

func skipSets(t *tracker, pending map[string]*manifest, ignore bool) map[record.ShardID]*skipSet {
	sets := map[record.ShardID]*skipSet{}
	set := func(id record.ShardID) *skipSet {
		if sets[id] == nil {
			sets[id] = &skipSet{bits: roaring64.New()}
		}
		return sets[id]
	}
	for id, at := range t.start {
		set(id).from = at
	}
	for id, s := range t.shards {
		set(id).from = s.checkpoint
		if !ignore {
			set(id).bits.Or(s.done)
		}
	}
	for _, m := range pending {
		for id, bits := range m.covers.shards {
			if !ignore {
				set(id).bits.Or(bits)
			}
		}
	}
	for _, s := range sets {
		if !s.bits.IsEmpty() {
			s.max = s.bits.Maximum()
		}
	}
	return sets
}

// positions is where the scan begins. Shards that were opened since the delivery first ran are named too: those that are
// not would begin at their trim horizon, and what has expired before it would not be counted.
func (d *Delivery) positions() shardlog.Positions {
	from := make(shardlog.Positions, len(d.skip))
	for id, s := range d.skip {
		from[id] = s.from
	}
	var known record.ShardID // the shards from this one on were opened since: ids only grow
	for id := range d.tracker.start {
		known = max(known, id+1)
	}
	shards := d.cfg.Source.Log.Shards()
	for id := known; len(shards) > 0 && id <= shards[len(shards)-1].ID; id++ { // also those of which nothing is left
		if _, ok := from[id]; !ok {
			from[id] = 1
		}
	}
	return from
}

// read scans the log and hands batches, in order, to the workers and to the collector.
func (d *Delivery) read(ctx context.Context) {
	scan, err := d.cfg.Source.Log.Scan(d.positions())
	if err != nil {
		d.fail(d.readError(err))
		return
	}
	defer scan.Close()
	limit := shardlog.ReadLimit{Records: scanRecords, Bytes: scanBytes}
	var asked []*drain // requests made before the scan that is under way
	for ctx.Err() == nil {
		j := newJob()
		if err := scan.Next(ctx, limit, j.batch); err != nil {
			j.release()
			if !isStop(err) || ctx.Err() == nil {
				d.fail(d.readError(err))
			}
			return
		}
		atEnd := j.batch.Len() == 0
		d.passOver(j, scan.Expired())
		if atEnd {
			j.drains, asked = asked, nil
		}
		if j.batch.Len() == 0 && j.expired.empty() && len(j.drains) == 0 {
			j.release()
		} else if !d.hand(ctx, j) {
			j.release()
			return
		}
		if atEnd {
			var ok bool
			if asked, ok = d.idle(ctx, scan); !ok {
				return
			}
		}
	}
}

// hand gives a job to the collector, and to the workers if there is anything to transform.
func (d *Delivery) hand(ctx context.Context, j *job) bool {
	if j.batch.Len() == 0 {
		j.made <- false
	} else {
		select {
		case d.work <- j:
		case <-ctx.Done():
			return false
		}
	}
	select {
	case d.order <- j:
		return true
	case <-ctx.Done():
		for more := j.batch.Len() > 0; more; { // a worker may still be using it
			more = <-j.made
			j.taken <- struct{}{}
		}
		return false
	}
}

// idle waits until the log has grown or somebody asks for a drain. A drain is answered after another scan, because the log
// may have grown as well.
func (d *Delivery) idle(ctx context.Context, scan shardlog.Scanner) (asked []*drain, ok bool) {
	wait, cancel := context.WithCancel(ctx)
	defer cancel()
	grown := make(chan error, 1)
	go func() { grown <- scan.Wait(wait) }()
	select {
	case err := <-grown:
		if err != nil && ctx.Err() == nil {
			d.fail(d.readError(err))
		}
		return nil, err == nil
	case req := <-d.drains:
		asked = append(asked, req)
	case <-ctx.Done():
	}
	cancel()
	<-grown
	return asked, ctx.Err() == nil
}

// passOver takes out of a batch what was covered before this run, and counts what expired unread.
func (d *Delivery) passOver(j *job, expired []shardlog.Range) {
	for _, r := range expired {
		lost := roaring64.New()
		lost.AddRange(r.From, r.To)
		if s := d.skip[r.Shard]; s != nil {
			lost.RemoveRange(0, s.from)
			lost.AndNot(s.bits)
		}
		if !lost.IsEmpty() {
			j.expired.bits(r.Shard).Or(lost)
		}
	}
	lost := j.expired.len()
	if lost > 0 {
		d.log.Error("records expired before they were delivered", "records", lost, "stream", d.cfg.Source.Name)
		d.cfg.Observer.Expired(lost)
	}
	if len(d.skip) == 0 {
		return
	}
	var set *skipSet
	var of record.ShardID
	kept, changed := 0, false
	recs := j.batch.Records
	for i := range recs {
		if i == 0 || recs[i].Shard != of {
			of = recs[i].Shard
			set = d.skip[of]
		}
		if set != nil {
			if set.covers(recs[i].Seq) {
				changed = true
				continue
			}
			if recs[i].Seq > set.max && recs[i].Seq >= set.from {
				delete(d.skip, of) // nothing further on can be covered
				set = nil
			}
		}
		if changed {
			recs[kept] = recs[i]
		}
		kept++
	}
	clear(recs[kept:])
	j.batch.Records = recs[:kept]
}

func (d *Delivery) readError(err error) error {
	class, hint := fault.ClassOf(err), ""
	if errors.Is(err, shardlog.ErrCorrupt) {
		class, hint = fault.Permanent, "run leat log verify on the data directory"
	}
	e := fault.New(class, "delivery.read_failed", "delivery %s/%s: read stream %s: %w", d.cfg.Pipeline, d.cfg.Name, d.cfg.Source.Name, err)
	e.Hint = hint
	return e
}
