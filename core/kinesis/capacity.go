package kinesis

import "github.com/leatstream/leat/core/stream/capacity"

// followCapacity lets the on-demand streams follow their load until the follower is closed. A stream stays ACTIVE while its
// shards change: its clients see a reshard as they see any other one. Growth ends where the open shards of all streams
// together reach the quota.
func (a *API) followCapacity() *capacity.Follower {
	return capacity.Follow(capacity.Config{
		Streams: a.cfg.Streams, State: a.cfg.State, Quota: a.cfg.ShardQuota, Warm: a.WarmShards, Logger: a.cfg.Logger, Now: a.cfg.Now,
	})
}
