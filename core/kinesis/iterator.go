package kinesis

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

// iteratorLife is how long a shard iterator is good for after it was returned.
const iteratorLife = 5 * time.Minute

// recordOperations are the operations on records.
func (a *API) recordOperations(ops map[string]wire.Handler) {
	ops["GetRecords"] = operation(a.getRecords)
	ops["GetShardIterator"] = operation(a.getShardIterator)
	ops["PutRecord"] = operation(a.putRecord)
	ops["PutRecords"] = operation(a.putRecords)
}

// iteratorTypes are the types of iterators in the API, and iteratorTypeNames their names as the service lists them.
var (
	iteratorTypes = map[string]stream.IteratorType{
		"AFTER_SEQUENCE_NUMBER": stream.AfterSequenceNumber,
		"LATEST":                stream.Latest,
		"AT_TIMESTAMP":          stream.AtTimestamp,
		"AT_SEQUENCE_NUMBER":    stream.AtSequenceNumber,
		"TRIM_HORIZON":          stream.TrimHorizon,
	}
	iteratorTypeNames = []string{"AFTER_SEQUENCE_NUMBER", "LATEST", "AT_TIMESTAMP", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON"}
)

func (in *GetShardIteratorInput) validate(v *violations) {
	shardID.need(v, "shardId", in.ShardId)
	v.required("shardIteratorType", in.ShardIteratorType == nil)
	v.enum("shardIteratorType", in.ShardIteratorType, iteratorTypeNames...)
	sequenceNumber.check(v, "startingSequenceNumber", in.StartingSequenceNumber)
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
}

func (a *API) getShardIterator(ctx context.Context, in *GetShardIteratorInput) (*GetShardIteratorOutput, error) {
	name, err := a.nameOf(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	shard, err := a.shardOf(*in.ShardId, name)
	if err != nil {
		return nil, err
	}
	k, err := a.findForReading(name, shard)
	if err != nil {
		return nil, err
	}
	at, err := k.startAt(ctx, "GetShardIterator", shard,
		&StartingPosition{Type: in.ShardIteratorType, SequenceNumber: in.StartingSequenceNumber, Timestamp: in.Timestamp})
	if err != nil {
		return nil, err
	}
	if in.DryRun != nil && *in.DryRun {
		return nil, errDryRun
	}
	if k.limited() && !k.reads.iterator(shard, a.cfg.Now()) {
		return nil, k.rateExceeded(shard)
	}
	return &GetShardIteratorOutput{ShardIterator: a.sealIterator(name, at)}, nil
}

// errDryRun is the answer to a request that only asked whether it would succeed.
var errDryRun = fail(codeDryRun, "The request would have succeeded, but the DryRun parameter was set.")

// findForReading returns the stream of a shard to read. To readers a stream that is not there is a shard that is not there.
func (a *API) findForReading(name string, shard record.ShardID) (*known, error) {
	k, err := a.known(name)
	if err == nil {
		err = k.serving()
	}
	if known, ok := errors.AsType[*wire.Error](err); ok && known.Code == codeResourceNotFound {
		return nil, a.noSuchShard(shard, name)
	}
	return k, err
}

// noSuchShard is the service's answer for a shard that does not exist to those who read. Others get noShard.
func (a *API) noSuchShard(shard record.ShardID, stream string) error {
	return fail(codeResourceNotFound, "Shard %v in stream %s under account %s does not exist", shard, stream, a.cfg.Account)
}

func (k *known) rateExceeded(shard record.ShardID) *wire.Error {
	return fail(codeThroughput, "Rate exceeded for shard %v in stream %s under account %s.", shard, k.Name(), k.api.cfg.Account)
}

// startAt is the position in a shard where an operation wants to start reading.
func (k *known) startAt(ctx context.Context, operation string, shard record.ShardID, p *StartingPosition) (stream.Position, error) {
	if _, ok := k.Log().State(shard); !ok {
		return stream.Position{}, k.api.noSuchShard(shard, k.Name())
	}
	from, err := startingPosition(p)
	if err != nil {
		return stream.Position{}, err
	}
	if p.SequenceNumber != nil {
		if from.SequenceNumber, err = stream.ParseSequenceNumber(*p.SequenceNumber); err != nil {
			return stream.Position{}, k.noPosition(err, operation, shard, p)
		}
	}
	at, err := k.Iterator(ctx, shard, from)
	if err != nil {
		return stream.Position{}, k.noPosition(err, operation, shard, p)
	}
	return at, nil
}

// startingPosition reads all of a starting position but the sequence number, which is there if the type needs one.
func startingPosition(p *StartingPosition) (from stream.StartingPosition, err error) {
	from.Type = iteratorTypes[*p.Type]
	bySequence := from.Type == stream.AtSequenceNumber || from.Type == stream.AfterSequenceNumber
	if bySequence != (p.SequenceNumber != nil) {
		what := "no"
		if !bySequence {
			what = "also a"
		}
		return from, fail(codeInvalidArgument, "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or "+
			"(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified %s and %s StartingSequenceNumber.", *p.Type, what)
	}
	if from.Type == stream.AtTimestamp {
		if p.Timestamp == nil {
			return from, fail(codeInvalidArgument, "Must specify timestamp parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.")
		}
		from.Timestamp = p.Timestamp.Time
	}
	return from, nil
}

// noPosition words as the service does why core/stream has no position to start at.
func (k *known) noPosition(err error, operation string, shard record.ShardID, p *StartingPosition) error {
	why := ""
	switch fault.CodeOf(err) {
	case "stream.wrong_shard":
		n, _ := stream.ParseSequenceNumber(*p.SequenceNumber)
		return fail(codeInvalidArgument, "Invalid StartingSequenceNumber. It encodes %v, while it was used in a call to a shard with %v", n.Shard, shard)
	case "stream.foreign_sequence_number":
		why = " because it did not come from this stream"
		fallthrough
	case "stream.invalid_sequence_number":
		return fail(codeInvalidArgument, "StartingSequenceNumber %s used in %s on shard %v in stream %s under account %s is invalid%s.",
			*p.SequenceNumber, operation, shard, k.Name(), k.api.cfg.Account, why)
	case "stream.invalid_timestamp":
		return fail(codeInvalidArgument, "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: %d, currentTimestampInMillis: %d",
			p.Timestamp.UnixMilli(), k.api.cfg.Now().UnixMilli())
	case "stream.no_shard", "stream.deleted": // gone meanwhile
		return k.api.noSuchShard(shard, k.Name())
	}
	return err
}

// An iterator's payload is the stream's incarnation (16 bytes), the shard (4) and the position of the next record (8),
// both big-endian, and the stream's name.
const iteratorHead = 28

func (a *API) sealIterator(name string, at stream.Position) string {
	p := make([]byte, 0, iteratorHead+len(name))
	p = append(p, at.Incarnation[:]...)
	p = binary.BigEndian.AppendUint32(p, uint32(at.Shard))
	p = binary.BigEndian.AppendUint64(p, at.Seq)
	return a.tokens.seal(tokenIterator, append(p, name...))
}

// openIterator returns what an iterator stands for, unless it is none or is too old.
func (a *API) openIterator(token string) (name string, at stream.Position, err error) {
	p, age, err := a.tokens.open(tokenIterator, token)
	if err != nil || len(p) <= iteratorHead {
		return "", at, fail(codeInvalidArgument, "Invalid ShardIterator.")
	}
	if age > iteratorLife {
		const layout = "Mon Jan 02 15:04:05 MST 2006"
		now := a.cfg.Now().UTC()
		return "", at, fail(codeExpiredIterator, "Iterator expired. The iterator was created at time %s while right now it is %s "+
			"which is further in the future than the tolerated delay of %d milliseconds.",
			now.Add(-age).Format(layout), now.Format(layout), iteratorLife.Milliseconds())
	}
	at = stream.Position{
		Incarnation: uuid.UUID(p[:16]),
		Shard:       record.ShardID(binary.BigEndian.Uint32(p[16:])),
		Seq:         binary.BigEndian.Uint64(p[20:]),
	}
	return string(p[iteratorHead:]), at, nil
}
