package kinesis

import (
	"context"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

// What one GetRecords gives at most; a single record may be as large as that alone.
const (
	maxGetRecords = 10_000
	maxGetBytes   = 10 << 20
)

// shardIterator is the kind of tokens that GetShardIterator and GetRecords return.
var shardIterator = text{least: 1, most: maxToken}

func (in *GetRecordsInput) validate(v *violations) {
	within(v, "limit", in.Limit, 1, maxGetRecords)
	shardIterator.need(v, "shardIterator", in.ShardIterator)
	streamARN.check(v, "streamARN", in.StreamARN)
}

func (a *API) getRecords(ctx context.Context, in *GetRecordsInput) (_ *getRecordsAnswer, err error) {
	name, at, err := a.openIterator(*in.ShardIterator)
	if err != nil {
		return nil, err
	}
	if in.StreamARN != nil && *in.StreamARN != a.streamARN(name) {
		return nil, fail(codeInvalidArgument, "The ShardIterator does not belong to the stream with StreamARN %s.", *in.StreamARN)
	}
	k, err := a.findForReading(name, at.Shard)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	defer k.measureRefusedRead(started, at.Shard, &err)
	if at.Incarnation != k.Incarnation() { // the stream has been deleted and created again
		return nil, a.noSuchShard(at.Shard, name)
	}
	if in.DryRun != nil && *in.DryRun {
		return nil, errDryRun
	}
	if k.limited() && !k.reads.read(at.Shard, a.cfg.Now()) {
		return nil, k.rateExceeded(at.Shard)
	}
	batch := record.NewBatch()
	res, err := k.read(ctx, at, in.Limit, wire.Reserve, batch)
	if err != nil {
		batch.Release()
		switch fault.CodeOf(err) {
		case "stream.no_shard", "stream.deleted":
			return nil, a.noSuchShard(at.Shard, name)
		}
		return nil, err
	}
	if k.limited() {
		k.reads.took(at.Shard, a.cfg.Now(), batch.Size())
	}
	out := &getRecordsAnswer{batch: batch, behind: res.Behind}
	if batch.Len() > 0 {
		if out.number, err = k.SequenceNumber(&batch.Records[0]); err != nil {
			batch.Release()
			return nil, err
		}
	}
	k.metrics.GetRecords(time.Since(started), at.Shard, batch.Len(), batch.Size(), res.Behind)
	if res.End {
		out.children = childShapes(res.Children)
	} else {
		out.next = a.sealIterator(name, res.Next)
	}
	return out, nil
}

// freeRead is how much a GetRecords returns without asking for memory, in bytes: most are of a few new records.
const freeRead = 256 << 10

// read reads what one GetRecords returns. A large answer takes more memory than its request, and has to reserve it; when
// there is none, less is returned.
func (k *known) read(ctx context.Context, at stream.Position, limit *int32, reserve func(context.Context, int64) error, batch *record.Batch) (stream.ReadResult, error) {
	records := maxGetRecords
	if limit != nil {
		records = int(*limit)
	}
	res, err := k.Read(ctx, at, shardlog.ReadLimit{Records: records, Bytes: freeRead}, batch)
	if err != nil {
		return res, err
	}
	for {
		n, size := batch.Len(), batch.Size()
		st, ok := k.Log().State(at.Shard)
		if !ok || st.Next <= res.Next.Seq || n == 0 || n >= records || size >= maxGetBytes {
			return res, nil
		}
		// Those to come are like those before them, more or less.
		left := min(st.Next-res.Next.Seq, uint64(records-n))
		bytes := int(min(left*2*uint64(size/n+1), uint64(maxGetBytes-size)))
		const inJSON = 4. / 3
		if reserve(ctx, int64(float64(bytes)*(1+inJSON))) != nil {
			return res, nil
		}
		more, err := k.Read(ctx, res.Next, shardlog.ReadLimit{Records: records - n, Bytes: bytes}, batch)
		if err != nil || batch.Size() > maxGetBytes { // what was read stands; and a read returns a record at least, however large
			clear(batch.Records[n:])
			batch.Records = batch.Records[:n]
			return res, nil
		}
		res = more
	}
}
