package kinesis

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stream"
)

// shardCountsPerDay is how often UpdateShardCount may be called for a stream in a rolling period of 24 hours.
const shardCountsPerDay = 10

var hashKey = pattern(0, math.MaxInt, `0|([1-9]\d{0,38})`)

func (in *SplitShardInput) validate(v *violations) {
	hashKey.need(v, "newStartingHashKey", in.NewStartingHashKey)
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
	shardID.need(v, "shardToSplit", in.ShardToSplit)
}

func (a *API) splitShard(ctx context.Context, in *SplitShardInput) (none, error) {
	k, shards, err := a.findShards(in.StreamName, in.StreamARN, *in.ShardToSplit)
	if err != nil {
		return nil, err
	}
	a.creation.Lock()
	defer a.creation.Unlock()
	if err := a.roomForShards(1); err != nil {
		return nil, err
	}
	s := &shards[0]
	at, err := stream.ParseHashKey(*in.NewStartingHashKey)
	if err != nil || !s.Hash.SplitsAt(at) {
		return nil, fail(codeInvalidArgument, "NewStartingHashKey %s used in SplitShard() on shard %v in stream %s under account %s "+
			"is not both greater than one plus the shard's StartingHashKey %v and less than the shard's EndingHashKey %v.",
			*in.NewStartingHashKey, s.ID, k.Name(), a.cfg.Account, s.Hash.Start, s.Hash.End)
	}
	if !s.Closed.IsZero() {
		return nil, k.resharded(s)
	}
	return nil, k.transition(ctx, statusUpdating, func() error {
		_, err := k.Split(ctx, s.ID, at)
		return err
	})
}

func (in *MergeShardsInput) validate(v *violations) {
	shardID.need(v, "shardToMerge", in.ShardToMerge)
	shardID.need(v, "adjacentShardToMerge", in.AdjacentShardToMerge)
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
}

func (a *API) mergeShards(ctx context.Context, in *MergeShardsInput) (none, error) {
	k, shards, err := a.findShards(in.StreamName, in.StreamARN, *in.ShardToMerge, *in.AdjacentShardToMerge)
	if err != nil {
		return nil, err
	}
	low, high := &shards[0], &shards[1]
	if !low.Hash.Meets(high.Hash) {
		return nil, fail(codeInvalidArgument, "Shards %v and %v in stream %s under account %s are not an adjacent pair of shards eligible for merging",
			low.ID, high.ID, k.Name(), a.cfg.Account)
	}
	for _, s := range []*stream.Shard{low, high} {
		if !s.Closed.IsZero() {
			return nil, k.resharded(s)
		}
	}
	return nil, k.transition(ctx, statusUpdating, func() error {
		_, err := k.Merge(ctx, low.ID, high.ID)
		return err
	})
}

// findShards returns a stream that is resharded by hand, and shards of it. A name that can be no shard's is told before the
// stream is looked for, as in the service.
func (a *API) findShards(name, arn *string, shards ...string) (*known, []stream.Shard, error) {
	of, err := a.nameOf(name, arn)
	if err != nil {
		return nil, nil, err
	}
	found := make([]stream.Shard, len(shards))
	for i, shard := range shards {
		if found[i].ID, err = a.shardOf(shard, of); err != nil {
			return nil, nil, err
		}
	}
	k, err := a.known(of)
	if err != nil {
		return nil, nil, err
	}
	if err := k.provisioned(); err != nil {
		return nil, nil, err
	}
	for i := range found {
		id := found[i].ID
		found[i], err = k.Shard(id)
		if fault.CodeOf(err) == "stream.no_shard" {
			return nil, nil, a.noShard(id.String(), of)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return k, found, nil
}

// provisioned fails for a stream whose shards are not its owner's to change.
func (k *known) provisioned() error {
	if k.Config().Mode == stream.OnDemand {
		return fail(codeValidation, "Request is invalid. Stream %s under account %s is in On-Demand mode.", k.Name(), k.api.cfg.Account)
	}
	return nil
}

// resharded is the service's answer for a shard that is closed.
func (k *known) resharded(s *stream.Shard) error {
	return fail(codeInvalidArgument, "Shard %v in stream %s under account %s has already been merged or split, and thus is not eligible for merging or splitting.",
		s.ID, k.Name(), k.api.cfg.Account)
}

// provisionedShards is the number of open shards that count towards the quota: those of provisioned streams, with those
// that an UpdateShardCount under way is going to add.
func (a *API) provisionedShards() int {
	n := 0
	for _, name := range a.cfg.Streams.List() {
		// A stream that is going, or could not be opened, has no open shards.
		if k, err := a.known(name); err == nil && k.Config().Mode != stream.OnDemand {
			n += max(k.OpenShards(), k.meta().TargetShards)
		}
	}
	return n
}

// roomForShards fails if so many more open shards would exceed the quota. The caller holds a.creation until it has them.
func (a *API) roomForShards(more int) error {
	open := a.provisionedShards()
	if open+more <= a.cfg.ShardQuota {
		return nil
	}
	return fail(codeLimitExceeded, "This request would exceed the shard limit for the account %s in %s. Current shard count for the account: %d. "+
		"Limit: %d. Number of additional shards that would have resulted from this request: %d. Refer to the AWS Service Limits page "+
		"(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits.",
		a.cfg.Account, a.cfg.Region, open, a.cfg.ShardQuota, more)
}

func (in *UpdateShardCountInput) validate(v *violations) {
	v.required("scalingType", in.ScalingType == nil)
	v.enum("scalingType", in.ScalingType, "UNIFORM_SCALING")
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
	v.required("targetShardCount", in.TargetShardCount == nil)
	within(v, "targetShardCount", in.TargetShardCount, 1, 100_000)
}

// updateShardCount answers at once. The shards follow in the background, also over a restart; until then the stream is
// UPDATING. The quota is about the target: shards that live only meanwhile need no room in it.
func (a *API) updateShardCount(ctx context.Context, in *UpdateShardCountInput) (*UpdateShardCountOutput, error) {
	k, err := a.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if err := k.provisioned(); err != nil {
		return nil, err
	}
	open, target := k.OpenShards(), int(*in.TargetShardCount)
	exceeded := ""
	switch {
	case target > stream.MaxShards:
		exceeded = fmt.Sprintf("Target shard count or number of open shards cannot be greater than %d.", stream.MaxShards)
	case target > 2*open:
		exceeded = "UpdateShardCount cannot scale up over double your current open shard count."
	case 2*target < open:
		exceeded = "UpdateShardCount cannot scale down below half your current open shard count."
	}
	if exceeded != "" {
		return nil, fail(codeLimitExceeded, "%s Current open shard count: %d, Target shard count: %d", exceeded, open, target)
	}
	if target > open {
		a.creation.Lock() // until the target is stored, which counts from then on
		defer a.creation.Unlock()
		if err := a.roomForShards(target - open); err != nil {
			return nil, err
		}
	}
	err = a.inBackground(ctx, func(ctx context.Context, begun func()) error {
		return k.transition(ctx, statusUpdating, func() error {
			err := k.update(ctx, func(m *meta) error {
				if !m.ShardCounts.note(a.cfg.Now(), shardCountsPerDay, a.cfg.Limits) { // the text is leat's own
					return fail(codeLimitExceeded, "Stream %s under account %s has reached the limit of %d UpdateShardCount operations in a rolling period of 24 hours.",
						k.Name(), a.cfg.Account, shardCountsPerDay)
				}
				m.TargetShards = target
				return nil
			})
			if err != nil {
				return err
			}
			begun()
			return k.followShardCount(ctx)
		})
	})
	if err != nil {
		return nil, err
	}
	return &UpdateShardCountOutput{
		StreamName: k.Name(), StreamARN: k.ARN(),
		CurrentShardCount: pointer(int32(open)), TargetShardCount: in.TargetShardCount,
	}, nil
}

// Bounds of the pause before a step of UpdateShardCount is tried again, for example while the disk is full.
const (
	firstReshardPause = time.Second
	lastReshardPause  = time.Minute
)

// followShardCount splits and merges shards until there are as many as the stored target says, and forgets it then, or
// when it cannot be reached. What fails for now is tried again; the target stays when ctx ends, for the next start.
func (k *known) followShardCount(ctx context.Context) error {
	for pause := firstReshardPause; ; pause = min(2*pause, lastReshardPause) {
		target := k.meta().TargetShards
		outcome := k.UpdateShardCount(ctx, target)
		if fault.CodeOf(outcome) == "stream.deleted" {
			return nil
		}
		err := outcome
		if outcome == nil || fault.ClassOf(outcome) == fault.Permanent {
			err = k.update(ctx, func(m *meta) error {
				m.TargetShards = 0
				return nil
			})
		}
		switch {
		case err == nil:
			return outcome
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		k.api.cfg.Logger.Warn("changing the number of shards; trying again", "stream", k.Name(), "target", target, "pause", pause, "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// resumeShardCounts goes on with what UpdateShardCount had begun when the process ended.
func (a *API) resumeShardCounts() {
	for _, name := range a.cfg.Streams.List() {
		k, err := a.known(name)
		if err != nil || k.meta().TargetShards == 0 {
			continue // one that cannot be opened says so to whom asks for it
		}
		_ = a.inBackground(context.Background(), func(ctx context.Context, begun func()) error {
			updating := statusUpdating
			k.busy.Store(&updating)
			defer k.busy.Store(nil)
			begun()
			return k.followShardCount(ctx)
		})
	}
}

// inBackground starts work that goes on after a request, until the API is closed, and waits until it has called begun. If
// it ends before, inBackground returns its error; an error after that is logged.
func (a *API) inBackground(ctx context.Context, work func(ctx context.Context, begun func()) error) error {
	begun := make(chan error, 1)
	a.background.Go(func() {
		started := false
		err := work(a.life, func() {
			started = true
			begun <- nil
		})
		switch {
		case !started:
			begun <- err
		case err != nil && a.life.Err() == nil:
			a.cfg.Logger.Error("work of the Kinesis API ended early", "error", err)
		}
	})
	select {
	case err := <-begun:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
