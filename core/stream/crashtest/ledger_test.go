package crashtest

import (
	"context"
	"fmt"
	"strings"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/internal/testenv"
)

// place is where a record is stored.
type place struct {
	shard record.ShardID
	seq   uint64
}

// ledger is what children reported.
type ledger struct {
	puts   map[string]int            // producer, as in "round/producer": number of its acked calls
	at     map[string]place          // record, as in "round/producer/key/number": where
	seen   map[record.ShardID]uint64 // position that a reader has passed
	shards int
	// reshards is the number of splits and merges that were acked.
	reshards int
}

func newLedger() *ledger {
	return &ledger{puts: map[string]int{}, at: map[string]place{}, seen: map[record.ShardID]uint64{}}
}

// add takes one report: "put round/producer call shard:seq ...", "saw shard seq" or "reshard".
func (l *ledger) add(t testenv.TB, line string) {
	t.Helper()
	fields := strings.Fields(line)
	switch {
	case line == "reshard":
		l.reshards++
	case len(fields) == 3+perCall && fields[0] == "put":
		var call int
		if _, err := fmt.Sscan(fields[2], &call); err != nil || call != l.puts[fields[1]] {
			t.Fatalf("report %q: %v; want call %d", line, err, l.puts[fields[1]])
		}
		l.puts[fields[1]]++
		for i, f := range fields[3:] {
			var p place
			if _, err := fmt.Sscanf(f, "%d:%d", (*uint32)(&p.shard), &p.seq); err != nil {
				t.Fatalf("report %q: %v", line, err)
			}
			key, number := entryOf(call, i)
			l.at[fmt.Sprintf("%s/%d/%d", fields[1], key, number)] = p
		}
	case len(fields) == 3 && fields[0] == "saw":
		var p place
		if _, err := fmt.Sscanf(line, "saw %d %d", (*uint32)(&p.shard), &p.seq); err != nil {
			t.Fatalf("report %q: %v", line, err)
		}
		l.seen[p.shard] = max(l.seen[p.shard], p.seq)
	default:
		t.Fatalf("report %q", line)
	}
}

// entryOf returns the key and the number within the key of the i-th entry of a producer's call.
func entryOf(call, i int) (key, number int) {
	n := call*perCall + i
	return n % keys, n / keys
}

// check compares all that is stored with what was reported, over all rounds.
func (l *ledger) check(t testenv.TB, r *registry, round int) {
	t.Helper()
	s, err := r.Get("load")
	if fault.CodeOf(err) == "stream.not_found" && len(l.puts) == 0 {
		return // killed before the first creation was acked
	}
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	shards, err := s.Shards()
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	l.shards = len(shards)
	next := map[string]int{} // round/producer/key: number that must come next
	found := map[string]place{}
	b := record.NewBatch()
	defer b.Release()
	for _, sh := range shards { // parents before their children
		for _, id := range sh.Parents {
			if parent, err := s.Shard(id); err != nil || parent.End.Compare(sh.Start) >= 0 {
				t.Fatalf("round %d: %v starts at %v, its parent ends at %v, %v", round, sh.ID, sh.Start, parent.End, err)
			}
		}
		if seen := l.seen[sh.ID]; seen >= sh.Next {
			t.Errorf("round %d: a reader saw position %d of %v, but the next one is %d", round, seen, sh.ID, sh.Next)
		}
		at := stream.Position{Incarnation: s.Incarnation(), Shard: sh.ID, Seq: 1}
		for at.Seq < sh.Next {
			b.Reset()
			res, err := s.Read(context.Background(), at, shardlog.ReadLimit{Records: 1000, Bytes: 1 << 20}, b)
			if err != nil || res.Next == at {
				t.Fatalf("round %d: read %v at %d: next %d, %v", round, at.Shard, at.Seq, res.Next.Seq, err)
			}
			for _, rec := range b.Records {
				name, _, _ := strings.Cut(string(rec.Data), " ")
				slash := strings.LastIndexByte(name, '/')
				if want := fmt.Sprintf("%s/%d", name[:slash], next[name[:slash]]); name != want {
					t.Fatalf("round %d: %v/%d holds %s, want %s", round, rec.Shard, rec.Seq, name, want)
				}
				next[name[:slash]]++
				found[name] = place{rec.Shard, rec.Seq}
			}
			at = res.Next
		}
	}
	for name, want := range l.at {
		if got, ok := found[name]; !ok || got != want {
			t.Errorf("round %d: %s was acked at %v, found %v at %v", round, name, want, ok, got)
		}
	}
	l.checkMarks(t, s, found, round)
	// Each producer has at most one call that was stored and not reported.
	if extra := len(found) - len(l.at); extra > (round+1)*producers*perCall {
		t.Errorf("round %d: %d records more than were put", round, extra)
	}
}

// checkMarks makes sure that a producer's mark and its records are from the same call.
func (l *ledger) checkMarks(t testenv.TB, s *stream.Stream, found map[string]place, round int) {
	t.Helper()
	for rd := range round + 1 {
		for p := 1; p < producers; p += 2 { // the odd ones put with marks
			producer := fmt.Sprintf("%d/%d", rd, p)
			calls := 0
			if m, ok := s.Mark(producer); ok {
				if _, err := fmt.Sscan(string(m.State), &calls); err != nil {
					t.Fatalf("round %d: mark of %s: %v", round, producer, err)
				}
			}
			if calls < l.puts[producer] {
				t.Errorf("round %d: mark of %s is at call %d, but %d were acked", round, producer, calls, l.puts[producer])
			}
			for i := range 2 * perCall { // the last call of the mark, and the one after it
				call := calls - 1 + i/perCall
				if call < 0 {
					continue
				}
				key, number := entryOf(call, i%perCall)
				name := fmt.Sprintf("%s/%d/%d", producer, key, number)
				if _, ok := found[name]; ok != (call < calls) {
					t.Errorf("round %d: mark of %s is at call %d, and record %s is there: %v", round, producer, calls, name, ok)
				}
			}
		}
	}
}
