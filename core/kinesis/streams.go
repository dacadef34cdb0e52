package kinesis

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

// streamOperations are the operations on whole streams and on the account.
func (a *API) streamOperations(ops map[string]wire.Handler) {
	ops["CreateStream"] = operation(a.createStream)
	ops["DeleteStream"] = operation(a.deleteStream)
	ops["DescribeStream"] = operation(a.describeStream)
	ops["DescribeStreamSummary"] = operation(a.describeStreamSummary)
	ops["ListStreams"] = operation(a.listStreams)
	ops["UpdateStreamMode"] = operation(a.updateStreamMode)
	ops["UpdateMaxRecordSize"] = operation(a.updateMaxRecordSize)
	ops["UpdateStreamWarmThroughput"] = operation(a.updateStreamWarmThroughput)
	ops["UpdateStreamRecordDistributionStrategy"] = operation(a.updateStreamRecordDistributionStrategy)
	ops["DescribeLimits"] = operation(a.describeLimits)
	ops["DescribeAccountSettings"] = operation(a.describeAccountSettings)
	ops["UpdateAccountSettings"] = operation(a.updateAccountSettings)
}

const (
	// maxTransient is how many streams may be CREATING or DELETING at the same time.
	maxTransient = 5
	// maxOnDemand is how many on-demand streams an account may have by default.
	maxOnDemand = 50
)

func (in *CreateStreamInput) validate(v *violations) {
	v.required("shardCount", in.ShardCount == nil && !in.onDemand())
	within(v, "shardCount", in.ShardCount, 1, 1<<31-1)
	streamName.need(v, "streamName", in.StreamName)
	in.StreamModeDetails.validate(v)
	v.tags(in.Tags)
	within(v, "maxRecordSizeInKiB", in.MaxRecordSizeInKiB, minRecordKiB, maxRecordKiB)
	within(v, "warmThroughputMiBps", in.WarmThroughputMiBps, 0, 1<<31-1)
	v.enum("recordDistributionStrategy", in.RecordDistributionStrategy, distributions...)
}

func (in *CreateStreamInput) onDemand() bool {
	return in.StreamModeDetails != nil && in.StreamModeDetails.StreamMode != nil && *in.StreamModeDetails.StreamMode == modeOnDemand
}

// createStream answers when the stream is there; it is CREATING for [Config].Transition after that.
func (a *API) createStream(ctx context.Context, in *CreateStreamInput) (none, error) {
	c := stream.Config{Mode: stream.Provisioned, WriteLimit: a.writeLimit()}
	m := meta{Tags: in.Tags, Made: true}
	if in.MaxRecordSizeInKiB != nil {
		c.MaxRecordSize = int(*in.MaxRecordSizeInKiB) << 10
	}
	if in.onDemand() {
		c.Mode = stream.OnDemand
		if in.ShardCount != nil {
			return nil, fail(codeValidation, "ShardCount is not expected when StreamMode=ON_DEMAND")
		}
	} else {
		c.Shards = int(*in.ShardCount)
	}
	var err error
	if m.WarmMiBps, err = a.warmThroughput(in.WarmThroughputMiBps, c.Mode); err != nil {
		return nil, err
	}
	if m.AutoDistribution, err = a.autoDistribution(*in.StreamName, in.RecordDistributionStrategy, c.Mode); err != nil {
		return nil, err
	}
	if err := a.checkTags("add tags to stream "+*in.StreamName, in.Tags); err != nil {
		return nil, err
	}
	if len(in.Tags) > maxTags {
		return nil, fail(codeInvalidArgument, "Failed to add tags to stream %s under account %s because a given stream cannot have more than %d tags associated with it.",
			*in.StreamName, a.cfg.Account, maxTags)
	}
	k, err := a.makeStream(ctx, *in.StreamName, c, m)
	if err != nil {
		return nil, err
	}
	return nil, k.warmUp(ctx)
}

// makeStream makes a stream and its meta in one durable step, if the account has room for it.
func (a *API) makeStream(ctx context.Context, name string, c stream.Config, m meta) (*known, error) {
	a.creation.Lock()
	defer a.creation.Unlock()
	if err := a.roomFor(name, c); err != nil {
		return nil, err
	}
	if a.cfg.Transition > 0 {
		m.Status, m.Until = statusCreating, a.cfg.Now().Add(a.cfg.Transition)
	}
	p, err := m.encode()
	if err != nil {
		return nil, err
	}
	_, err = a.cfg.Streams.Create(ctx, name, c, func(tx *state.Tx, incarnation uuid.UUID) error {
		tx.Put(metaKey(incarnation), p)
		return nil
	})
	if fault.CodeOf(err) == "stream.exists" { // made by a pipeline in this moment
		return nil, a.streamExists(name)
	}
	if err != nil {
		return nil, err
	}
	return a.known(name)
}

// writeLimit is the limit of the shards of streams that the API made.
func (a *API) writeLimit() stream.WriteLimit {
	if a.cfg.Limits {
		return stream.KinesisWriteLimit
	}
	return stream.WriteLimit{}
}

// applyLimits gives the streams that the API made the limits of this start. A stream that cannot be changed, for example on
// a full disk, keeps those of the last one.
func (a *API) applyLimits(ctx context.Context) {
	for _, name := range a.cfg.Streams.List() {
		k, err := a.known(name)
		if err != nil || !k.meta().Made || k.Config().WriteLimit == a.writeLimit() {
			continue // one that cannot be opened says so to whom asks for it
		}
		err = k.Update(ctx, func(c *stream.Config) error {
			c.WriteLimit = a.writeLimit()
			return nil
		})
		if err != nil {
			a.cfg.Logger.Warn("changing the write limit of a stream; the next start tries again", "stream", name, "error", err)
		}
	}
}

// roomFor fails if there is a stream of that name, or a quota of the account does not allow one more.
func (a *API) roomFor(name string, c stream.Config) error {
	transient, onDemand := 0, 0
	for _, other := range a.cfg.Streams.List() {
		if other == name {
			return a.streamExists(name)
		}
		k, err := a.known(other)
		if err != nil {
			continue // one that cannot be opened takes no room
		}
		if s := k.status(); s == statusCreating || s == statusDeleting {
			transient++
		}
		if k.Config().Mode == stream.OnDemand {
			onDemand++
		}
	}
	switch {
	case transient >= maxTransient: // the words are the service's
		return fail(codeLimitExceeded, "This request would have exceed the limit on the number of streams that can simultaneously be in CREATING or DELETING for the account %s. Limit: %d.",
			a.cfg.Account, maxTransient)
	case c.Mode == stream.OnDemand:
		return a.roomForOnDemand(onDemand)
	case c.Shards > stream.MaxShards:
		return fail(codeLimitExceeded, "Target shard count or number of open shards cannot be greater than %d. Current open shard count: 0, Target shard count: %d",
			stream.MaxShards, c.Shards)
	}
	return a.roomForShards(c.Shards)
}

// roomForOnDemand fails if so many on-demand streams are all that the account may have.
func (a *API) roomForOnDemand(there int) error {
	if !a.cfg.Limits || there < maxOnDemand {
		return nil
	}
	return fail(codeLimitExceeded, "This request would exceed the limit on the number of on-demand streams for the account %s in %s. Current on-demand stream count for the account: %d. Limit: %d.",
		a.cfg.Account, a.cfg.Region, there, maxOnDemand)
}

func (a *API) streamExists(name string) error {
	return fail(codeResourceInUse, "Stream %s under account %s already exists.", name, a.cfg.Account)
}

func (in *DeleteStreamInput) validate(v *violations) {
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
}

// deleteStream answers when the stream is gone, or with [Config].Transition, when it is DELETING. A stream that cannot be
// opened is deleted too: nothing else can be done with it.
func (a *API) deleteStream(ctx context.Context, in *DeleteStreamInput) (none, error) {
	name, err := a.nameOf(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	k, err := a.known(name)
	var known *wire.Error
	if errors.As(err, &known) {
		return nil, err
	}
	if err != nil {
		return nil, a.cfg.Streams.Delete(ctx, name, removeMeta)
	}
	if n := len(k.consumers()); n > 0 && (in.EnforceConsumerDeletion == nil || !*in.EnforceConsumerDeletion) {
		return nil, fail(codeResourceInUse, "DeleteStream can't delete %s:%s because there are consumers associated with this data stream. "+
			"To delete %s anyway, set the EnforceConsumerDeletion parameter to true to force the deletion of all the consumers that are associated with it.",
			a.cfg.Account, name, name)
	}
	err = k.transition(ctx, statusDeleting, func() error {
		if a.cfg.Transition > 0 {
			return nil
		}
		return k.remove(ctx)
	})
	if err == nil && a.cfg.Transition > 0 {
		a.deleteLater(k)
	}
	return nil, err
}

// listPage is how many streams or shards one answer of ListStreams and DescribeStream has at most, also if more are asked
// for.
const listPage = 100

func (in *ListStreamsInput) validate(v *violations) {
	within(v, "limit", in.Limit, 1, 10_000)
	nextToken.check(v, "nextToken", in.NextToken)
	streamName.check(v, "exclusiveStartStreamName", in.ExclusiveStartStreamName)
}

// listStreams lists by name. Streams that cannot be opened have no summary.
func (a *API) listStreams(_ context.Context, in *ListStreamsInput) (*ListStreamsOutput, error) {
	after := ""
	switch {
	case in.NextToken != nil && in.ExclusiveStartStreamName != nil:
		return nil, fail(codeInvalidArgument, "NextToken and ExclusiveStartStreamName cannot be provided together.")
	case in.NextToken != nil:
		last, err := a.openNextToken(tokenStreams, *in.NextToken)
		if err != nil {
			return nil, err
		}
		after = string(last)
	case in.ExclusiveStartStreamName != nil:
		after = *in.ExclusiveStartStreamName
	}
	page := listPage
	if in.Limit != nil {
		page = min(page, int(*in.Limit))
	}
	out := &ListStreamsOutput{StreamNames: []string{}, StreamSummaries: []StreamSummary{}}
	for _, name := range a.cfg.Streams.List() {
		if name <= after {
			continue
		}
		if len(out.StreamNames) == page {
			out.HasMoreStreams = true
			out.NextToken = a.tokens.seal(tokenStreams, []byte(out.StreamNames[page-1]))
			break
		}
		out.StreamNames = append(out.StreamNames, name)
		if k, err := a.known(name); err == nil {
			created := wire.At(k.Created())
			out.StreamSummaries = append(out.StreamSummaries, StreamSummary{
				StreamName: name, StreamARN: k.ARN(), StreamStatus: string(k.status()),
				StreamCreationTimestamp: &created, StreamModeDetails: k.modeDetails(),
			})
		}
	}
	return out, nil
}
