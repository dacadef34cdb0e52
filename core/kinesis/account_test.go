package kinesis

import (
	"testing"
	"time"
)

func TestDescribeLimitsCountsWhatTheAccountHas(t *testing.T) {
	s := newServer(t, Config{ShardQuota: 50})
	s.create("a", 3)
	s.create("b", 4)
	must[any](s, "CreateStream", doc{"StreamName": "c", "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}})
	must[any](s, "SplitShard", doc{"StreamName": "a", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "100"})
	got := must[DescribeLimitsOutput](s, "DescribeLimits", doc{})
	if got.OpenShardCount != 8 || got.ShardLimit != 50 || got.OnDemandStreamCount != 1 || got.OnDemandStreamCountLimit != 50 ||
		*got.ChannelCount != 0 || *got.ChannelCountLimit != 0 {
		t.Errorf("limits: %+v", got)
	}
}

func TestTheCommitmentLastsADayAtLeast(t *testing.T) {
	clock := newClock()
	s := newServer(t, Config{Now: clock.now})
	start := clock.now()
	describe := func() MinimumThroughputBillingCommitmentOutput {
		return *must[DescribeAccountSettingsOutput](s, "DescribeAccountSettings", doc{}).MinimumThroughputBillingCommitment
	}
	update := func(status, want string) {
		t.Helper()
		out := *must[UpdateAccountSettingsOutput](s, "UpdateAccountSettings", doc{"MinimumThroughputBillingCommitment": doc{"Status": status}}).MinimumThroughputBillingCommitment
		if got := describe(); out.Status != want || got.Status != want {
			t.Errorf("%s: answered with %+v, then described as %+v, want %s", status, out, got, want)
		}
	}
	if got := describe(); got.Status != "DISABLED" || got.StartedAt != nil || got.EndedAt != nil || got.EarliestAllowedEndAt != nil {
		t.Errorf("at first: %+v", got)
	}
	update("DISABLED", "DISABLED")
	update("ENABLED", "ENABLED")
	clock.advance(time.Hour)
	update("DISABLED", "ENABLED_UNTIL_EARLIEST_ALLOWED_END")
	update("ENABLED", "ENABLED")
	update("DISABLED", "ENABLED_UNTIL_EARLIEST_ALLOWED_END")
	s.restart()
	if got := describe(); got.Status != "ENABLED_UNTIL_EARLIEST_ALLOWED_END" || !got.StartedAt.Equal(start) ||
		!got.EarliestAllowedEndAt.Equal(start.Add(24*time.Hour)) || got.EndedAt != nil || !s.committed() {
		t.Errorf("before its end: %+v", got)
	}
	clock.advance(23 * time.Hour)
	if got := describe(); got.Status != "DISABLED" || !got.EndedAt.Equal(start.Add(24*time.Hour)) || s.committed() {
		t.Errorf("after its end: %+v", got)
	}
	update("ENABLED", "ENABLED")
	clock.advance(30 * time.Hour)
	update("DISABLED", "DISABLED") // at once: the day is over
	if got := describe(); !got.EndedAt.Equal(clock.now()) {
		t.Errorf("after a late end: %+v", got)
	}
}

func TestUpdateAccountSettingsRefuses(t *testing.T) {
	s := newServer(t, Config{})
	for _, c := range []struct {
		in      doc
		message string
	}{
		{doc{}, "1 validation error detected: Value null at 'minimumThroughputBillingCommitment' failed to satisfy constraint: Member must not be null"},
		{doc{"MinimumThroughputBillingCommitment": doc{}}, "1 validation error detected: " +
			"Value null at 'minimumThroughputBillingCommitment.status' failed to satisfy constraint: Member must not be null"},
		{doc{"MinimumThroughputBillingCommitment": doc{"Status": "ON"}}, "1 validation error detected: " +
			"Value 'ON' at 'minimumThroughputBillingCommitment.status' failed to satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED]"},
	} {
		s.refused("UpdateAccountSettings", c.in, codeValidation, c.message)
	}
}
