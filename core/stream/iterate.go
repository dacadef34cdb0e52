package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

// IteratorType says where in a shard reading starts.
type IteratorType uint8

const (
	// TrimHorizon is the oldest record that has not expired.
	TrimHorizon IteratorType = iota
	// Latest is the first record put after the iterator was made.
	Latest
	// AtSequenceNumber is the record with a sequence number.
	AtSequenceNumber
	// AfterSequenceNumber is the one after it.
	AfterSequenceNumber
	// AtTimestamp is the first record that arrived at a time or later.
	AtTimestamp
)

var iteratorTypes = [...]string{"TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "AT_TIMESTAMP"}

// String returns the type's name in the Kinesis API.
func (t IteratorType) String() string {
	if int(t) < len(iteratorTypes) {
		return iteratorTypes[t]
	}
	return fmt.Sprintf("IteratorType(%d)", uint8(t))
}

// StartingPosition is where reading starts.
type StartingPosition struct {
	Type           IteratorType
	SequenceNumber SequenceNumber // for AtSequenceNumber and AfterSequenceNumber
	Timestamp      time.Time      // for AtTimestamp
}

// Position is where in a shard a reader is: Seq is the position of the record to read next. It belongs to one incarnation
// of a stream and is refused by every other.
type Position struct {
	Incarnation uuid.UUID
	Shard       record.ShardID
	Seq         uint64
}

// Iterator returns the position in a shard where reading from at starts.
//
// A sequence number may be any that a put or a read returned, the start of the shard, and the end of a closed shard. One
// with a later second than its record's lies between this record and the next one: with it, readers tell how far they have
// come. It is checked against the shard: one of another shard (code stream.wrong_shard), of a stream that had the same name or of
// another one (stream.foreign_sequence_number), and one that no record has got yet (stream.invalid_sequence_number) are
// refused. A timestamp in the future is refused too (stream.invalid_timestamp).
func (s *Stream) Iterator(ctx context.Context, shard record.ShardID, at StartingPosition) (Position, error) {
	if err := s.check("get an iterator"); err != nil {
		return Position{}, err
	}
	st, ok := s.log.State(shard)
	if !ok {
		return Position{}, s.errNoShard(shard)
	}
	p := Position{Incarnation: s.incarnation, Shard: shard}
	switch at.Type {
	case TrimHorizon:
		p.Seq = st.TrimHorizon
	case Latest:
		p.Seq = st.Next
	case AtSequenceNumber, AfterSequenceNumber:
		if err := s.checkSequenceNumber(&st, at.SequenceNumber); err != nil {
			return Position{}, err
		}
		switch p.Seq = at.SequenceNumber.Position; {
		case p.Seq == EndPosition:
			p.Seq = st.Next
		case p.Seq == 0 || at.Type == AfterSequenceNumber:
			p.Seq++
		default:
			since, err := s.log.SeekTime(ctx, shard, time.Unix(at.SequenceNumber.Second, 0))
			if err != nil {
				return Position{}, s.explain(err, "seek a sequence number")
			}
			if since > p.Seq { // the number is greater than the record's
				p.Seq++
			}
		}
	case AtTimestamp:
		if now := s.owner.now(); at.Timestamp.After(now) {
			return Position{}, fault.New(fault.Permanent, "stream.invalid_timestamp",
				"iterator of %v in stream %s: timestamp %v is in the future", shard, s.name, at.Timestamp.UTC().Format(time.RFC3339Nano))
		}
		seq, err := s.log.SeekTime(ctx, shard, at.Timestamp)
		if err != nil {
			return Position{}, s.explain(err, "seek a timestamp")
		}
		p.Seq = seq
	default:
		return Position{}, fault.New(fault.Permanent, "stream.invalid_iterator_type", "%v is not a type of iterators", at.Type)
	}
	return p, nil
}

func (s *Stream) checkSequenceNumber(st *shardlog.ShardState, n SequenceNumber) error {
	m, err := decodeMeta(st.Meta)
	if err != nil {
		return s.explain(err, "get an iterator")
	}
	switch {
	case n.Shard != st.ID:
		return fault.New(fault.Permanent, "stream.wrong_shard",
			"sequence number %v encodes %v, while it was used in a call to a shard with %v", n, n.Shard, st.ID)
	case n.Created != m.created:
		return fault.New(fault.Permanent, "stream.foreign_sequence_number",
			"sequence number %v did not come from this stream, %s", n, s.name).
			WithHint("the stream was deleted and created again, or the number is another stream's")
	case n.Position == EndPosition && !st.Closed.IsZero(), n.Position < st.Next:
		return nil
	default:
		return fault.New(fault.Permanent, "stream.invalid_sequence_number",
			"sequence number %v is invalid: no record of %v in stream %s has got it yet", n, st.ID, s.name)
	}
}

// ReadResult tells what a read did beyond the records it returned.
type ReadResult struct {
	// Next is where to read on. At the end of a shard it stays there.
	Next Position
	// Behind is the age of the last record that was read; 0 if there was nothing after it when the read began.
	Behind time.Duration
	// Expired is how many records expired before they were reached; they were passed over. It is 0 if the whole shard
	// is gone: then nobody knows.
	Expired uint64
	// End is true once all of a closed shard has been read. Children then are the shards to go on with, as far as they
	// have not expired themselves.
	End      bool
	Children []Shard
}

// Read adds records from a position on to dst, at least one, however large, if there is one within reach. It never
// blocks; Wait does. A position of another incarnation is refused with the code stream.foreign_position.
func (s *Stream) Read(ctx context.Context, at Position, limit shardlog.ReadLimit, dst *record.Batch) (ReadResult, error) {
	if err := s.checkPosition(at, "read records"); err != nil {
		return ReadResult{}, err
	}
	res := ReadResult{Next: at}
	had := dst.Len()
	for tried := uint64(0); ; tried = res.Next.Seq {
		// The state is taken before the read: what it calls closed has its final end.
		st, ok := s.log.State(at.Shard)
		if !ok {
			return s.readExpired(res)
		}
		if st.TrimHorizon > res.Next.Seq {
			res.Expired += st.TrimHorizon - res.Next.Seq
			res.Next.Seq = st.TrimHorizon
		}
		if res.Next.Seq > st.Next {
			return ReadResult{}, fault.New(fault.Permanent, "stream.invalid_position",
				"read of %v in stream %s at position %d: the next record will get %d", at.Shard, s.name, res.Next.Seq, st.Next)
		}
		next, err := s.log.Read(ctx, at.Shard, res.Next.Seq, limit, dst)
		if (errors.Is(err, shardlog.ErrTrimmed) || errors.Is(err, shardlog.ErrNoShard)) && tried != res.Next.Seq {
			continue // expired since
		}
		if err != nil {
			return ReadResult{}, s.explain(err, "read records")
		}
		res.Next.Seq = next
		if n := dst.Len(); next < st.Next && n > had {
			res.Behind = max(0, s.owner.now().Sub(dst.Records[n-1].ArrivedAt()))
		}
		if res.End = !st.Closed.IsZero() && next >= st.Next; res.End {
			res.Children, err = s.children(at.Shard)
		}
		return res, err
	}
}

// readExpired is the end of a shard that was closed and is gone, or an error if there never was one.
func (s *Stream) readExpired(res ReadResult) (_ ReadResult, err error) {
	if res.Next.Shard >= s.table.Load().next {
		return ReadResult{}, s.errNoShard(res.Next.Shard)
	}
	res.End = true
	res.Children, err = s.children(res.Next.Shard)
	return res, err
}

// Wait blocks until Read at a position would return something, a record or the end of the shard, or ctx is done.
func (s *Stream) Wait(ctx context.Context, at Position) error {
	if err := s.checkPosition(at, "wait for records"); err != nil {
		return err
	}
	err := s.log.Wait(ctx, at.Shard, at.Seq)
	if errors.Is(err, shardlog.ErrTrimmed) || errors.Is(err, shardlog.ErrNoShard) && at.Shard < s.table.Load().next {
		return nil // Read tells what has expired
	}
	if ctx.Err() != nil {
		return err
	}
	return s.explain(err, "wait for records")
}

func (s *Stream) checkPosition(at Position, doing string) error {
	if at.Incarnation == s.incarnation || s.owner.opts.seams.anyIncarnation {
		return s.check(doing)
	}
	return fault.New(fault.Permanent, "stream.foreign_position",
		"the iterator belongs to a stream that is not today's %s", s.name).
		WithHint("the stream was deleted and created again: get a new iterator")
}
