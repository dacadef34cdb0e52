package kinesis

import (
	"context"

	"github.com/leatstream/leat/core/stream"
)

// Capacity modes.
const (
	modeProvisioned = "PROVISIONED"
	modeOnDemand    = "ON_DEMAND"
)

// Record distribution strategies.
const (
	distributeAuto = "AUTO"
	byPartitionKey = "USER_PARTITION_KEY"
)

var distributions = []string{distributeAuto, byPartitionKey}

const (
	// Bounds of the largest record of a stream, in KiB.
	minRecordKiB = stream.MinRecordSize >> 10
	maxRecordKiB = stream.MaxRecordSize >> 10

	// maxWarmMiBps is 10 GiB/s, the most that an on-demand stream keeps ready.
	maxWarmMiBps = 10 << 10

	// modeSwitches is how often a stream may change its capacity mode in a rolling period of 24 hours.
	modeSwitches = 2
)

func (d *StreamModeDetails) validate(v *violations) {
	if d != nil {
		v.required("streamModeDetails.streamMode", d.StreamMode == nil)
		v.enum("streamModeDetails.streamMode", d.StreamMode, modeProvisioned, modeOnDemand)
	}
}

func (k *known) modeDetails() *StreamModeDetails {
	mode := modeProvisioned
	if k.Config().Mode == stream.OnDemand {
		mode = modeOnDemand
	}
	return &StreamModeDetails{StreamMode: &mode}
}

func (in *UpdateStreamModeInput) validate(v *violations) {
	streamARN.need(v, "streamARN", in.StreamARN)
	v.required("streamModeDetails", in.StreamModeDetails == nil)
	in.StreamModeDetails.validate(v)
	within(v, "warmThroughputMiBps", in.WarmThroughputMiBps, 0, 1<<31-1)
}

// updateStreamMode leaves the shards as they are, unless a warm throughput needs more. The mode that a stream has already
// is no change and does not count.
func (a *API) updateStreamMode(ctx context.Context, in *UpdateStreamModeInput) (none, error) {
	k, err := a.find(nil, in.StreamARN)
	if err != nil {
		return nil, err
	}
	to := stream.Provisioned
	if *in.StreamModeDetails.StreamMode == modeOnDemand {
		to = stream.OnDemand
	}
	warm, err := a.warmThroughput(in.WarmThroughputMiBps, to)
	if err != nil {
		return nil, err
	}
	if err := k.active(); err != nil {
		return nil, err
	}
	if k.Config().Mode == to && in.WarmThroughputMiBps == nil {
		return nil, nil
	}
	return nil, k.transition(ctx, statusUpdating, func() error {
		if err := k.changeMode(ctx, to, warm); err != nil {
			return err
		}
		return k.warmUp(ctx)
	})
}

// changeMode gives the stream a mode and a warm throughput in MiB/s, if the account has room for it.
func (k *known) changeMode(ctx context.Context, to stream.Mode, warm int) error {
	a := k.api
	a.creation.Lock()
	defer a.creation.Unlock()
	switches := k.Config().Mode != to
	if switches {
		if err := k.roomForMode(to); err != nil {
			return err
		}
	}
	err := k.update(ctx, func(m *meta) error {
		m.WarmMiBps = warm
		if !switches {
			return nil
		}
		if !m.ModeSwitches.note(a.cfg.Now(), modeSwitches, a.cfg.Limits) {
			return fail(codeLimitExceeded, "Stream %s under account %s has reached the limit of %d switches between capacity modes in a rolling period of 24 hours.",
				k.Name(), a.cfg.Account, modeSwitches)
		}
		return nil
	})
	if err != nil || !switches {
		return err
	}
	return k.Update(ctx, func(c *stream.Config) error {
		c.Mode = to
		return nil
	})
}

// roomForMode fails if the stream cannot have another mode.
func (k *known) roomForMode(to stream.Mode) error {
	a := k.api
	if to == stream.Provisioned {
		if k.meta().AutoDistribution {
			return fail(codeInvalidArgument, "Stream %s under account %s has the record distribution strategy AUTO, which is supported in On-Demand mode only.",
				k.Name(), a.cfg.Account)
		}
		return a.roomForShards(k.OpenShards())
	}
	return a.roomForOnDemand(a.onDemandStreams())
}

func (in *UpdateMaxRecordSizeInput) validate(v *violations) {
	v.required("maxRecordSizeInKiB", in.MaxRecordSizeInKiB == nil)
	within(v, "maxRecordSizeInKiB", in.MaxRecordSizeInKiB, minRecordKiB, maxRecordKiB)
	streamARN.check(v, "streamARN", in.StreamARN)
}

func (a *API) updateMaxRecordSize(ctx context.Context, in *UpdateMaxRecordSizeInput) (none, error) {
	k, err := a.find(nil, in.StreamARN)
	if err != nil {
		return nil, err
	}
	return nil, k.transition(ctx, statusUpdating, func() error {
		return k.Update(ctx, func(c *stream.Config) error {
			c.MaxRecordSize = int(*in.MaxRecordSizeInKiB) << 10
			return nil
		})
	})
}

func (in *UpdateStreamWarmThroughputInput) validate(v *violations) {
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
	v.required("warmThroughputMiBps", in.WarmThroughputMiBps == nil)
	within(v, "warmThroughputMiBps", in.WarmThroughputMiBps, 0, 1<<31-1)
}

// updateStreamWarmThroughput splits shards until there are enough for the throughput. A lower one lets the stream shrink
// again when its traffic allows it.
func (a *API) updateStreamWarmThroughput(ctx context.Context, in *UpdateStreamWarmThroughputInput) (*UpdateStreamWarmThroughputOutput, error) {
	k, err := a.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if _, err := a.warmThroughput(in.WarmThroughputMiBps, k.Config().Mode); err != nil {
		return nil, err
	}
	err = k.transition(ctx, statusUpdating, func() error {
		warm, err := a.warmThroughput(in.WarmThroughputMiBps, k.Config().Mode) // again: only now the mode stays what it is
		if err != nil {
			return err
		}
		err = k.update(ctx, func(m *meta) error {
			m.WarmMiBps = warm
			return nil
		})
		if err != nil {
			return err
		}
		return k.warmUp(ctx)
	})
	if err != nil {
		return nil, err
	}
	return &UpdateStreamWarmThroughputOutput{StreamName: k.Name(), StreamARN: k.ARN(), WarmThroughput: k.warmThroughput()}, nil
}

// warmThroughput checks the warm throughput in MiB/s that a request wants for a stream, if any, and returns it.
func (a *API) warmThroughput(mibps *int32, mode stream.Mode) (int, error) {
	switch {
	case mibps == nil:
		return 0, nil
	case mode != stream.OnDemand:
		return 0, fail(codeValidation, "WarmThroughputMiBps is supported for data streams with the On-Demand capacity mode only.")
	case !a.committed():
		return 0, fail(codeValidation, "WarmThroughputMiBps requires MinimumThroughputBillingCommitment to be enabled for the account %s.", a.cfg.Account)
	case *mibps > maxWarmMiBps:
		return 0, fail(codeLimitExceeded, "WarmThroughputMiBps %d exceeds the limit of %d for an On-Demand stream of the account %s.", *mibps, maxWarmMiBps, a.cfg.Account)
	}
	return int(*mibps), nil
}

// warmShardsOf is how many shards a stream keeps ready whatever its load: one for each MiB/s of its warm throughput.
func (a *API) warmShardsOf(s *stream.Stream) int {
	k, err := a.known(s.Name())
	if err != nil || k.Stream != s {
		return 0
	}
	return k.warmShards()
}

func (k *known) warmShards() int {
	if k.Config().Mode != stream.OnDemand {
		return 0
	}
	return min(k.meta().WarmMiBps, stream.MaxShards)
}

// warmUp splits shards until there are as many as the warm throughput needs. What a crash interrupts, the follower of the
// load does within a minute.
func (k *known) warmUp(ctx context.Context) error {
	if shards := k.warmShards(); shards > k.OpenShards() {
		return k.UpdateShardCount(ctx, shards)
	}
	return nil
}

// warmThroughput describes what an on-demand stream takes at once, one MiB/s a shard. Others have none.
func (k *known) warmThroughput() *WarmThroughputObject {
	if k.Config().Mode != stream.OnDemand {
		return nil
	}
	w := &WarmThroughputObject{CurrentMiBps: pointer(int32(k.OpenShards()))}
	if warm := k.meta().WarmMiBps; warm > 0 {
		w.TargetMiBps = pointer(int32(warm))
	}
	return w
}

func (in *UpdateStreamRecordDistributionStrategyInput) validate(v *violations) {
	streamARN.need(v, "streamARN", in.StreamARN)
	v.required("recordDistributionStrategy", in.RecordDistributionStrategy == nil)
	v.enum("recordDistributionStrategy", in.RecordDistributionStrategy, distributions...)
}

// updateStreamRecordDistributionStrategy takes effect at once: the stream stays ACTIVE.
func (a *API) updateStreamRecordDistributionStrategy(ctx context.Context, in *UpdateStreamRecordDistributionStrategyInput) (none, error) {
	k, err := a.find(nil, in.StreamARN)
	if err != nil {
		return nil, err
	}
	auto, err := a.autoDistribution(k.Name(), in.RecordDistributionStrategy, k.Config().Mode)
	if err != nil {
		return nil, err
	}
	if err := k.active(); err != nil {
		return nil, err
	}
	return nil, k.update(ctx, func(m *meta) error {
		m.AutoDistribution = auto
		return nil
	})
}

// autoDistribution tells whether a request wants the strategy AUTO, which only an on-demand stream can have.
func (a *API) autoDistribution(name string, strategy *string, mode stream.Mode) (bool, error) {
	if strategy == nil || *strategy != distributeAuto {
		return false, nil
	}
	if mode != stream.OnDemand {
		return false, fail(codeInvalidArgument, "RecordDistributionStrategy AUTO is not supported for stream %s under account %s: it is supported in On-Demand mode only.",
			name, a.cfg.Account)
	}
	return true, nil
}

// spreads tells whether records go to any shard, whatever their keys. A stream that a pipeline's file has made provisioned
// goes by their keys again.
func (k *known) spreads() bool {
	return k.meta().AutoDistribution && k.Config().Mode == stream.OnDemand
}
