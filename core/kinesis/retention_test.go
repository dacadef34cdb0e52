package kinesis

import (
	"testing"
	"time"
)

func hours(n int) doc { return doc{"StreamName": "s", "RetentionPeriodHours": n} }

func TestTheRetentionChangesInItsOwnDirection(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 1)
	must[any](s, "IncreaseStreamRetentionPeriod", hours(24)) // the same is neither shorter nor longer
	must[any](s, "IncreaseStreamRetentionPeriod", hours(8760))
	s.restart()
	if got := s.summary("s").RetentionPeriodHours; got != 8760 {
		t.Errorf("the retention is %d hours", got)
	}
	must[any](s, "DecreaseStreamRetentionPeriod", hours(48))
	s.refused("IncreaseStreamRetentionPeriod", hours(47), "InvalidArgumentException",
		"Requested retention period (47 hours) for stream s can not be shorter than existing retention period (48 hours). Use DecreaseRetentionPeriod API.")
	s.refused("DecreaseStreamRetentionPeriod", hours(49), "InvalidArgumentException",
		"Requested retention period (49 hours) for stream s can not be longer than existing retention period (48 hours). Use IncreaseRetentionPeriod API.")
	for _, operation := range []string{"IncreaseStreamRetentionPeriod", "DecreaseStreamRetentionPeriod"} {
		s.refused(operation, hours(23), "InvalidArgumentException",
			"Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.")
		s.refused(operation, hours(8761), "InvalidArgumentException",
			"Maximum allowed retention period is 8760 hours. Requested retention period (8761 hours) is too long.")
		s.refused(operation, doc{"StreamName": "t", "RetentionPeriodHours": 25}, "ResourceNotFoundException",
			"Stream t under account 123456789012 not found.")
	}
	if got := s.summary("s").RetentionPeriodHours; got != 48 {
		t.Errorf("the retention is %d hours", got)
	}
}

func TestSettingsChangeOnlyWhileTheStreamIsActive(t *testing.T) {
	c := newClock()
	s := newServer(t, Config{Now: c.now, Transition: time.Minute})
	s.create("s", 1)
	for operation, in := range map[string]doc{
		"IncreaseStreamRetentionPeriod": hours(48),
		"EnableEnhancedMonitoring":      {"StreamName": "s", "ShardLevelMetrics": []string{"ALL"}},
		"UpdateShardCount":              target("s", 2),
		"StartStreamEncryption":         {"StreamName": "s", "EncryptionType": "KMS", "KeyId": "k"},
	} {
		s.refused(operation, in, "ResourceInUseException", "Stream s under account 123456789012 not ACTIVE, instead in state CREATING")
	}
}
