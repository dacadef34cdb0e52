package disk

import (
	"context"
	"fmt"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// check compares the log with the model, and takes what it sees into the model: it must stay.
func (w *world) check(l *Log) error {
	content := map[record.ShardID]map[uint64]string{}
	stored := map[string]uint64{} // payload -> position, for payloads of records that can be read
	w.open = nil
	for _, st := range l.Shards() {
		id := st.ID
		if st.Closed.IsZero() {
			w.open = append(w.open, id)
		}
		if st.TrimHorizon > max(w.trim[id], 1) {
			return fmt.Errorf("%v is trimmed to %d, expiry came to %d", id, st.TrimHorizon, w.trim[id])
		}
		if st.Next < uint64(len(w.seen[id]))+1 {
			return fmt.Errorf("%v: next is %d, a reader saw %d records", id, st.Next, len(w.seen[id]))
		}
		content[id] = map[uint64]string{}
		b := record.NewBatch()
		from := st.TrimHorizon
		for from < st.Next {
			next, err := l.Read(context.Background(), id, from, shardlog.ReadLimit{}, b)
			if err != nil {
				return fmt.Errorf("read %v from %d: %w", id, from, err)
			}
			if next == from {
				return fmt.Errorf("read %v from %d gives nothing, next is %d", id, from, st.Next)
			}
			from = next
		}
		at := st.TrimHorizon
		for _, r := range b.Records {
			if r.Seq != at {
				return fmt.Errorf("%v has %d at %d", id, r.Seq, at)
			}
			data := string(r.Data)
			if _, twice := stored[data]; twice {
				return fmt.Errorf("%v has %.20q twice", id, data)
			}
			stored[data] = at
			content[id][at] = data
			if old := w.seen[id]; uint64(len(old)) >= at && old[at-1] != data && old[at-1] != "" {
				return fmt.Errorf("%v at %d is %.20q, a reader saw %.20q", id, at, data, old[at-1])
			}
			at++
		}
		seen := make([]string, st.Next-1)
		copy(seen, w.seen[id])
		for pos, data := range content[id] {
			seen[pos-1] = data
		}
		w.seen[id] = seen
		b.Release()
	}
	if err := w.checkScan(l, stored); err != nil {
		return err
	}
	return w.checkAttempts(l, content, stored)
}

func (w *world) checkScan(l *Log, stored map[string]uint64) error {
	sc, err := l.Scan(nil)
	if err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	defer sc.Close()
	b := record.NewBatch()
	defer b.Release()
	n := 0
	for {
		b.Reset()
		if err := sc.Next(context.Background(), shardlog.ReadLimit{Records: 170}, b); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		if b.Len() == 0 {
			break
		}
		for _, r := range b.Records {
			if stored[string(r.Data)] == r.Seq {
				n++
			} else if st, ok := l.State(r.Shard); ok || st.Next > 0 {
				return fmt.Errorf("scan: %v at %d is %.20q, which a read does not show", r.Shard, r.Seq, r.Data)
			}
		}
	}
	if n != len(stored) {
		return fmt.Errorf("a scan shows %d records, reads show %d", n, len(stored))
	}
	return nil
}

func (w *world) checkAttempts(l *Log, content map[record.ShardID]map[uint64]string, stored map[string]uint64) error {
	newest := map[string]int{}
	known := 0
	for _, a := range w.attempts {
		if len(a.opening) > 0 {
			if err := w.checkReshard(l, a); err != nil {
				return err
			}
			continue
		}
		there, gone := 0, 0
		for i, run := range a.runs {
			_, ok := l.State(run.Shard)
			for j, e := range run.Entries {
				pos, is := stored[string(e.Data)]
				switch {
				case is:
					there++
					known++
					if a.acked && pos != a.first[i]+uint64(j) {
						return fmt.Errorf("append %d: record is at %d of %v, acked at %d", a.id, pos, run.Shard, a.first[i]+uint64(j))
					}
				case a.acked && a.first[i] != 0 && ok && a.first[i]+uint64(j) >= max(w.trim[run.Shard], 1):
					return fmt.Errorf("append %d was acked at %d of %v, and is not there", a.id, a.first[i]+uint64(j), run.Shard)
				default:
					gone++
				}
			}
		}
		whole := len(w.trim) == 0
		for _, run := range a.runs {
			_, ok := l.State(run.Shard)
			whole = whole && ok
		}
		if !a.acked && whole && there > 0 && gone > 0 && !w.refusable(a) {
			return fmt.Errorf("append %d is there by half: %d records of %d", a.id, there, there+gone)
		}
		if a.producer != "" && (there > 0 || a.acked && anyStored(a)) {
			newest[a.producer] = max(newest[a.producer], a.n)
		}
	}
	if known != len(stored) {
		return fmt.Errorf("%d records can be read that nobody appended", len(stored)-known)
	}
	for p, n := range newest {
		m, ok := l.Mark(p)
		var got int
		if ok {
			fmt.Sscan(string(m.State), &got)
		}
		if got < n {
			return fmt.Errorf("mark of %s is %d, its records come up to %d", p, got, n)
		}
		if len(w.trim) == 0 && got > n && !w.markAlone(p, got) {
			return fmt.Errorf("mark of %s is %d, its records come up to %d only", p, got, n)
		}
	}
	return nil
}

func anyStored(a *attempt) bool {
	for _, f := range a.first {
		if f != 0 {
			return true
		}
	}
	return len(a.runs) == 0
}

// refusable says whether a run of a may have been refused because a reshard closed its shard.
func (w *world) refusable(a *attempt) bool {
	for _, run := range a.runs {
		for _, r := range w.attempts {
			for _, id := range r.closing {
				if id == run.Shard {
					return true
				}
			}
		}
	}
	return false
}

// markAlone says whether the mark belongs to an append without records.
func (w *world) markAlone(p string, n int) bool {
	for _, a := range w.attempts {
		if a.producer == p && a.n == n {
			return len(a.runs) == 0
		}
	}
	return false
}

func (w *world) checkReshard(l *Log, a *attempt) error {
	opened, closed := 0, 0
	for _, id := range a.opening {
		l.idx.RLock()
		if sh := l.shards[id]; sh != nil && !sh.hidden {
			opened++
		}
		l.idx.RUnlock()
	}
	for _, id := range a.closing {
		if st, ok := l.State(id); !ok || !st.Closed.IsZero() {
			closed++
		}
	}
	if a.acked && (opened < len(a.opening) || closed < len(a.closing)) {
		return fmt.Errorf("reshard %d was acked: %d of %d opened, %d of %d closed", a.id, opened, len(a.opening), closed, len(a.closing))
	}
	if opened != 0 && (opened < len(a.opening) || closed < len(a.closing)) {
		return fmt.Errorf("reshard %d is there by half: %d of %d opened, %d of %d closed", a.id, opened, len(a.opening), closed, len(a.closing))
	}
	return nil
}
