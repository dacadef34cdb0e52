package kinesis

import (
	"context"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
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
	limit := shardlog.ReadLimit{Records: maxGetRecords, Bytes: maxGetBytes}
	if in.Limit != nil {
		limit.Records = int(*in.Limit)
	}
	batch := record.NewBatch()
	res, err := k.Read(ctx, at, limit, batch)
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
