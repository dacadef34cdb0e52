package kinesis

import (
	"testing"
	"time"

	"github.com/leatstream/leat/core/fault"
)

func TestAConfigurationThatMakesNoSenseIsRefused(t *testing.T) {
	s := newServer(t, Config{})
	for _, c := range []struct {
		change  func(*Config)
		message string
	}{
		{func(c *Config) { c.Account = "12345" }, `account "12345": want 12 digits`},
		{func(c *Config) { c.Region = "EU/West" }, `region "EU/West": want lower-case letters, digits and hyphens, as in us-east-1`},
		{func(c *Config) { c.ShardQuota = -1 }, "shard quota of -1: want a positive number"},
		{func(c *Config) { c.Transition = 2 * time.Hour }, "states that last 2h0m0s: want 0 to 1h0m0s"},
	} {
		cfg := s.API.cfg
		c.change(&cfg)
		if _, err := New(cfg); fault.CodeOf(err) != "kinesis.invalid_config" || err.Error() != c.message {
			t.Errorf("%v, want %s", err, c.message)
		}
	}
}
