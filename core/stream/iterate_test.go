package stream

import (
	"context"
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

func TestIteratorsStartWhereTheirTypeSays(t *testing.T) {
	w, clock := newWorld(t)
	s := w.mustCreate(t, "s", Config{})
	ctx := context.Background()
	latest, err := s.Iterator(ctx, 0, StartingPosition{Type: Latest})
	if err != nil {
		t.Fatal(err)
	}
	begin := clock.now()
	var numbers []SequenceNumber
	for _, key := range []string{"a", "b", "c", "d"} {
		clock.advance(time.Second)
		numbers = append(numbers, put(t, s, key)[0].SequenceNumber())
	}
	sh, err := s.Shard(0)
	if err != nil {
		t.Fatal(err)
	}
	between, behind := numbers[1], numbers[3]
	between.Second++
	behind.Second += 1000
	for name, c := range map[string]struct {
		at    StartingPosition
		first uint64
	}{
		"trim horizon":             {StartingPosition{Type: TrimHorizon}, 1},
		"latest":                   {StartingPosition{Type: Latest}, 5},
		"at the shard's start":     {StartingPosition{Type: AtSequenceNumber, SequenceNumber: sh.Start}, 1},
		"after the shard's start":  {StartingPosition{Type: AfterSequenceNumber, SequenceNumber: sh.Start}, 1},
		"at a record":              {StartingPosition{Type: AtSequenceNumber, SequenceNumber: numbers[1]}, 2},
		"after a record":           {StartingPosition{Type: AfterSequenceNumber, SequenceNumber: numbers[1]}, 3},
		"at a reader's number":     {StartingPosition{Type: AtSequenceNumber, SequenceNumber: between}, 3},
		"after a reader's number":  {StartingPosition{Type: AfterSequenceNumber, SequenceNumber: between}, 3},
		"at the newest one":        {StartingPosition{Type: AtSequenceNumber, SequenceNumber: behind}, 5},
		"after the last":           {StartingPosition{Type: AfterSequenceNumber, SequenceNumber: numbers[3]}, 5},
		"before all":               {StartingPosition{Type: AtTimestamp, Timestamp: begin.Add(-time.Hour)}, 1},
		"at the time of a record":  {StartingPosition{Type: AtTimestamp, Timestamp: begin.Add(2 * time.Second)}, 2},
		"between two records":      {StartingPosition{Type: AtTimestamp, Timestamp: begin.Add(2500 * time.Millisecond)}, 3},
		"now, which is the newest": {StartingPosition{Type: AtTimestamp, Timestamp: clock.now()}, 4},
	} {
		p, err := s.Iterator(ctx, 0, c.at)
		if err != nil || p.Seq != c.first || p.Incarnation != s.Incarnation() {
			t.Errorf("%s: position %d, %v; want %d", name, p.Seq, err, c.first)
		}
	}
	if got, _ := readFrom(t, s, latest); len(got) != 4 {
		t.Errorf("an iterator of type LATEST made before four puts returned %q", got)
	}

	foreign := numbers[0]
	foreign.Created--
	future := numbers[3]
	future.Position++
	for code, at := range map[string]StartingPosition{
		"stream.wrong_shard":             {Type: AtSequenceNumber, SequenceNumber: SequenceNumber{Created: sh.Start.Created, Shard: 5, Position: 1}},
		"stream.foreign_sequence_number": {Type: AfterSequenceNumber, SequenceNumber: foreign},
		"stream.invalid_sequence_number": {Type: AtSequenceNumber, SequenceNumber: future},
		"stream.invalid_timestamp":       {Type: AtTimestamp, Timestamp: clock.now().Add(time.Millisecond)},
		"stream.invalid_iterator_type":   {Type: 99},
	} {
		_, err := s.Iterator(ctx, 0, at)
		wantCode(t, err, fault.Permanent, code)
	}
	_, err = s.Iterator(ctx, 1, StartingPosition{})
	wantCode(t, err, fault.Permanent, "stream.no_shard")
	end := StartingPosition{Type: AtSequenceNumber, SequenceNumber: SequenceNumber{Created: sh.Start.Created, Position: EndPosition}}
	_, err = s.Iterator(ctx, 0, end)
	wantCode(t, err, fault.Permanent, "stream.invalid_sequence_number")
}

func TestReadTellsHowFarBehindItIs(t *testing.T) {
	w, clock := newWorld(t)
	s := w.mustCreate(t, "s", Config{})
	put(t, s, "a")
	clock.advance(3 * time.Second)
	put(t, s, "b")
	clock.advance(time.Second)
	ctx := context.Background()
	at, err := s.Iterator(ctx, 0, StartingPosition{})
	if err != nil {
		t.Fatal(err)
	}
	b := record.NewBatch()
	defer b.Release()
	for _, want := range []time.Duration{4 * time.Second, 0, 0} {
		res, err := s.Read(ctx, at, shardlog.ReadLimit{Records: 1, Bytes: 1 << 20}, b)
		if err != nil || res.Behind != want || res.End {
			t.Fatalf("%+v, %v; want %v behind", res, err, want)
		}
		at = res.Next
	}
	if b.Len() != 2 {
		t.Fatalf("%d records", b.Len())
	}
	n, err := s.SequenceNumber(&b.Records[1])
	if err != nil || n.Position != 2 || n.Second != n.Created+3 {
		t.Fatalf("the second record has %+v, %v", n, err)
	}
}

func TestClosedShardsEndWithTheirChildren(t *testing.T) {
	w, _ := newWorld(t)
	s := w.mustCreate(t, "s", Config{Shards: 2})
	ctx := context.Background()
	put(t, s, "a", "b", "c", "d")
	waiting := make(chan error, 1)
	st, _ := s.Log().State(0)
	go func() { waiting <- s.Wait(ctx, Position{s.Incarnation(), 0, st.Next}) }()
	children, err := s.Split(ctx, 0, HashKey{Hi: 1 << 60})
	if err != nil || children != [2]record.ShardID{2, 3} {
		t.Fatalf("split: %v, %v", children, err)
	}
	if err := <-waiting; err != nil {
		t.Fatalf("a reader that waited at the end of the shard got %v", err)
	}
	_, last := readAll(t, s, 0)
	if !last.End || len(last.Children) != 2 || last.Children[0].ID != 2 || last.Children[1].ID != 3 {
		t.Fatalf("at the end of the shard: %+v", last)
	}
	sh, err := s.Shard(0)
	if err != nil || sh.Closed.IsZero() || sh.End.Position != EndPosition {
		t.Fatalf("closed shard is %+v, %v", sh, err)
	}
	for _, typ := range []IteratorType{AtSequenceNumber, AfterSequenceNumber} {
		p, err := s.Iterator(ctx, 0, StartingPosition{Type: typ, SequenceNumber: sh.End})
		if err != nil || p.Seq != st.Next {
			t.Fatalf("iterator at the closing number: %+v, %v", p, err)
		}
	}
	child, err := s.Merge(ctx, 3, 1)
	if err != nil || child != 4 {
		t.Fatalf("merge: %v, %v", child, err)
	}
	for _, parent := range []record.ShardID{3, 1} {
		if _, last := readAll(t, s, parent); !last.End || len(last.Children) != 1 || last.Children[0].ID != 4 {
			t.Fatalf("at the end of %v: %+v", parent, last)
		}
	}
}
