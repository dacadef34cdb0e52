package kinesis

import (
	"context"
	"encoding/json"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

func (in *DescribeLimitsInput) validate(*violations) {}

// describeLimits counts the shards of provisioned streams: the shard limit is theirs. Channels are not offered.
func (a *API) describeLimits(context.Context, *DescribeLimitsInput) (*DescribeLimitsOutput, error) {
	return &DescribeLimitsOutput{
		OpenShardCount: int32(a.provisionedShards()), ShardLimit: int32(a.cfg.ShardQuota),
		OnDemandStreamCount: int32(a.onDemandStreams()), OnDemandStreamCountLimit: maxOnDemand,
		ChannelCount: pointer(int32(0)), ChannelCountLimit: pointer(int32(0)),
	}, nil
}

// onDemandStreams is the number of on-demand streams.
func (a *API) onDemandStreams() int {
	n := 0
	for _, name := range a.cfg.Streams.List() {
		if s, err := a.cfg.Streams.Get(name); err == nil && s.Config().Mode == stream.OnDemand {
			n++
		}
	}
	return n
}

// accountKey is where the account's settings stand in the state store, as JSON.
const accountKey = "kinesis/account"

// commitmentPeriod is how long a commitment to a minimum throughput lasts at least.
const commitmentPeriod = 24 * time.Hour

// States of the commitment.
const (
	commitmentEnabled  = "ENABLED"
	commitmentDisabled = "DISABLED"
	commitmentEnding   = "ENABLED_UNTIL_EARLIEST_ALLOWED_END"
)

// commitment is the account's commitment to a minimum throughput: zero if there never was one.
type commitment struct {
	Started time.Time `json:"started,omitzero"`
	// Ended is when it ended or will end: at the earliest after commitmentPeriod. Zero: it goes on.
	Ended time.Time `json:"ended,omitzero"`
}

func (c commitment) status(now time.Time) string {
	switch {
	case c.Started.IsZero():
		return commitmentDisabled
	case c.Ended.IsZero():
		return commitmentEnabled
	case now.Before(c.Ended):
		return commitmentEnding
	}
	return commitmentDisabled
}

// change enables or disables the commitment. To disable it before its period is over schedules the end; to enable it
// before that end cancels it.
func (c *commitment) change(to string, now time.Time) {
	switch at := c.status(now); {
	case to == commitmentEnabled && at == commitmentDisabled:
		*c = commitment{Started: now}
	case to == commitmentEnabled:
		c.Ended = time.Time{}
	case at == commitmentEnabled:
		c.Ended = now
		if end := c.Started.Add(commitmentPeriod); end.After(now) {
			c.Ended = end
		}
	}
}

func (c commitment) shape(now time.Time) *MinimumThroughputBillingCommitmentOutput {
	out := &MinimumThroughputBillingCommitmentOutput{Status: c.status(now)}
	if !c.Started.IsZero() {
		out.StartedAt = pointer(wire.At(c.Started))
	}
	if out.Status == commitmentDisabled && !c.Ended.IsZero() {
		out.EndedAt = pointer(wire.At(c.Ended))
	}
	if out.Status != commitmentDisabled {
		out.EarliestAllowedEndAt = pointer(wire.At(c.Started.Add(commitmentPeriod)))
	}
	return out
}

// commitment reads the account's commitment.
func (a *API) commitment() (c commitment, err error) {
	a.cfg.State.View(func(tx *state.Tx) { c, err = readCommitment(tx) })
	return c, err
}

func readCommitment(tx *state.Tx) (c commitment, err error) {
	if p, ok := tx.Get(accountKey); ok {
		if err := json.Unmarshal(p, &c); err != nil {
			return c, fault.New(fault.Permanent, "kinesis.corrupt", "entry %s in the state store: %w", accountKey, err)
		}
	}
	return c, nil
}

// committed tells whether the account has what unlocks the warm throughput.
func (a *API) committed() bool {
	c, err := a.commitment()
	return err == nil && c.status(a.cfg.Now()) != commitmentDisabled
}

func (in *DescribeAccountSettingsInput) validate(*violations) {}

func (a *API) describeAccountSettings(context.Context, *DescribeAccountSettingsInput) (*DescribeAccountSettingsOutput, error) {
	c, err := a.commitment()
	if err != nil {
		return nil, err
	}
	return &DescribeAccountSettingsOutput{MinimumThroughputBillingCommitment: c.shape(a.cfg.Now())}, nil
}

func (in *UpdateAccountSettingsInput) validate(v *violations) {
	c := in.MinimumThroughputBillingCommitment
	v.required("minimumThroughputBillingCommitment", c == nil)
	if c != nil {
		v.required("minimumThroughputBillingCommitment.status", c.Status == nil)
		v.enum("minimumThroughputBillingCommitment.status", c.Status, commitmentEnabled, commitmentDisabled)
	}
}

func (a *API) updateAccountSettings(ctx context.Context, in *UpdateAccountSettingsInput) (*UpdateAccountSettingsOutput, error) {
	now := a.cfg.Now()
	var c commitment
	err := a.cfg.State.Update(ctx, func(tx *state.Tx) (err error) {
		if c, err = readCommitment(tx); err != nil {
			return err
		}
		c.change(*in.MinimumThroughputBillingCommitment.Status, now)
		p, err := json.Marshal(c)
		tx.Put(accountKey, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &UpdateAccountSettingsOutput{MinimumThroughputBillingCommitment: c.shape(now)}, nil
}
