package stream

import (
	"regexp"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog"
)

const (
	// MaxShards is the largest number of open shards of one stream.
	MaxShards = 10_000
	// OnDemandShards is what a stream of the on-demand mode starts with.
	OnDemandShards = 4

	// MinRetention and MaxRetention bound how long a stream keeps its records, unless its retention has a hold.
	MinRetention = 24 * time.Hour
	MaxRetention = 365 * 24 * time.Hour

	// MinRecordSize and MaxRecordSize bound the setting for the largest record, in bytes of key and data.
	MinRecordSize = 1 << 20
	MaxRecordSize = 10 << 20

	// MaxKeyChars is the longest partition key in Unicode characters.
	MaxKeyChars = 256
)

// Mode says who decides on the number of shards.
type Mode string

const (
	// Provisioned leaves the number of shards to the stream's owner.
	Provisioned Mode = "provisioned"
	// OnDemand starts with OnDemandShards shards and meters what they take in, so that a capacity.Follower may split and
	// merge them by the load.
	OnDemand Mode = "on_demand"
)

// Config is what the owner of a stream decides. Zero fields take their default.
type Config struct {
	// Shards is the number of shards at creation, 1 to MaxShards; by default 1, in the on-demand mode OnDemandShards and
	// nothing else. It does not follow later splits and merges.
	Shards int
	// Mode is Provisioned by default.
	Mode Mode
	// Retention says how long records stay. Without a hold its age is MinRetention (the default) to MaxRetention; with a
	// hold its age may also be 0, for ever, or anything from an hour on. Records are kept at least that long; they go with
	// the segment of the log that holds them, so they may stay readable up to a segment's time span longer.
	Retention shardlog.Retention
	// WriteLimit is what one shard takes; zero, the default, is no limit.
	WriteLimit WriteLimit
	// MaxRecordSize is the largest record in bytes of key and data, MinRecordSize (the default) to MaxRecordSize.
	MaxRecordSize int
}

// withDefaults fills zero fields in.
func (c Config) withDefaults() Config {
	if c.Mode == "" {
		c.Mode = Provisioned
	}
	if c.Shards == 0 {
		c.Shards = 1
		if c.Mode == OnDemand {
			c.Shards = OnDemandShards
		}
	}
	if c.Retention == (shardlog.Retention{}) {
		c.Retention.Age = MinRetention
	}
	if c.MaxRecordSize == 0 {
		c.MaxRecordSize = MinRecordSize
	}
	return c
}

// Validate checks the configuration with its defaults filled in. Errors are permanent, with the code
// stream.invalid_config.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.Shards < 1 || c.Shards > MaxShards:
		return invalidConfig("%d shards: want 1 to %d", c.Shards, MaxShards)
	case c.Mode == OnDemand && c.Shards != OnDemandShards:
		return invalidConfig("%d shards with mode %s: an on-demand stream starts with %d, leave the number out", c.Shards, OnDemand, OnDemandShards)
	}
	return c.check()
}

func invalidConfig(format string, args ...any) error {
	return fault.New(fault.Permanent, "stream.invalid_config", format, args...)
}

// check checks what may change after the creation: all but the number of shards. Defaults are filled in.
func (c Config) check() error {
	switch {
	case c.Mode != Provisioned && c.Mode != OnDemand:
		return invalidConfig("mode %q: want %s or %s", c.Mode, Provisioned, OnDemand)
	case c.Retention.Hold < 0:
		return invalidConfig("retention hold of %d bytes: want a positive size, or 0 for none", c.Retention.Hold)
	case c.Retention.Hold == 0 && (c.Retention.Age < MinRetention || c.Retention.Age > MaxRetention):
		return invalidConfig("retention of %v: want %v to %v", c.Retention.Age, MinRetention, MaxRetention)
	case c.Retention.Hold > 0 && c.Retention.Age != 0 && (c.Retention.Age < time.Hour || c.Retention.Age > MaxRetention):
		return invalidConfig("retention of %v with a hold: want 0 for ever, or %v to %v", c.Retention.Age, time.Hour, MaxRetention)
	case c.WriteLimit.BytesPerSecond < 0 || c.WriteLimit.RecordsPerSecond < 0:
		return invalidConfig("write limit of %d bytes and %d records per second: want positive numbers, or 0 for no limit",
			c.WriteLimit.BytesPerSecond, c.WriteLimit.RecordsPerSecond)
	case c.MaxRecordSize < MinRecordSize || c.MaxRecordSize > MaxRecordSize:
		return invalidConfig("largest record of %d bytes: want %d to %d", c.MaxRecordSize, MinRecordSize, MaxRecordSize)
	}
	return nil
}

var namePattern = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

// CheckName checks the name of a stream.
func CheckName(name string) error {
	if !namePattern.MatchString(name) {
		return fault.New(fault.Permanent, "stream.invalid_name",
			"stream name %.140q: want 1 to 128 of the characters a-z A-Z 0-9 _ . -", name)
	}
	return nil
}
