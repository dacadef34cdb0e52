package kinesis

import (
	"testing"
	"time"

	"github.com/leatstream/leat/core/stream"
)

func (s *server) mode(name, mode string) {
	s.t.Helper()
	must[any](s, "UpdateStreamMode", doc{"StreamARN": s.streamARN(name), "StreamModeDetails": doc{"StreamMode": mode}})
	if got := *s.summary(name).StreamModeDetails.StreamMode; got != mode {
		s.t.Errorf("%s has the mode %s, want %s", name, got, mode)
	}
}

// commit unlocks the warm throughput.
func (s *server) commit() {
	s.t.Helper()
	must[any](s, "UpdateAccountSettings", doc{"MinimumThroughputBillingCommitment": doc{"Status": "ENABLED"}})
}

func TestTheModeChangesTwiceADay(t *testing.T) {
	clock := newClock()
	s := newServer(t, Config{Limits: true, Now: clock.now})
	s.create("a", 3)
	arn := s.streamARN("a")
	step := func() { clock.advance(time.Second) } // also spares the rate of calls
	s.mode("a", "ON_DEMAND")
	if got := s.summary("a"); got.OpenShardCount != 3 || got.RecordDistributionStrategy != "USER_PARTITION_KEY" {
		t.Errorf("summary: %+v", got)
	}
	step()
	s.mode("a", "ON_DEMAND") // is no change
	s.mode("a", "PROVISIONED")
	s.restart()
	step()
	const limit = "Stream a under account 123456789012 has reached the limit of 2 switches between capacity modes in a rolling period of 24 hours."
	s.refused("UpdateStreamMode", doc{"StreamARN": arn, "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}}, codeLimitExceeded, limit)
	clock.advance(24*time.Hour - 2*time.Second)
	s.mode("a", "ON_DEMAND")
	s.refused("UpdateStreamMode", doc{"StreamARN": arn, "StreamModeDetails": doc{"StreamMode": "PROVISIONED"}}, codeLimitExceeded, limit)
	step()
	s.mode("a", "PROVISIONED")
}

func TestTheModeChangesAsOftenAsOneLikesWithoutLimits(t *testing.T) {
	s := newServer(t, Config{})
	s.create("a", 1)
	for range 10 {
		s.mode("a", "ON_DEMAND")
		s.mode("a", "PROVISIONED")
	}
	if k, _ := s.known("a"); len(k.meta().ModeSwitches) > modeSwitches {
		t.Errorf("%d switches are stored", len(k.meta().ModeSwitches))
	}
}

func TestUpdateStreamModeRefuses(t *testing.T) {
	s := newServer(t, Config{ShardQuota: 3})
	s.create("a", 1)
	must[any](s, "CreateStream", doc{"StreamName": "auto", "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}, "RecordDistributionStrategy": "AUTO"})
	must[any](s, "CreateStream", doc{"StreamName": "four", "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}})
	arn, onDemand, provisioned := s.streamARN("a"), doc{"StreamMode": "ON_DEMAND"}, doc{"StreamMode": "PROVISIONED"}
	for _, c := range []struct {
		in            doc
		code, message string
	}{
		{doc{}, codeValidation, "2 validation errors detected: " +
			"Value null at 'streamARN' failed to satisfy constraint: Member must not be null; " +
			"Value null at 'streamModeDetails' failed to satisfy constraint: Member must not be null"},
		{doc{"StreamARN": "a", "StreamModeDetails": doc{"StreamMode": "X"}, "WarmThroughputMiBps": -1}, codeValidation, "3 validation errors detected: " +
			`Value 'a' at 'streamARN' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:stream/\S+; ` +
			"Value 'X' at 'streamModeDetails.streamMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]; " +
			"Value '-1' at 'warmThroughputMiBps' failed to satisfy constraint: Member must have value greater than or equal to 0"},
		{doc{"StreamARN": s.streamARN("b"), "StreamModeDetails": onDemand}, codeResourceNotFound, "Stream b under account 123456789012 not found."},
		{doc{"StreamARN": arn, "StreamModeDetails": provisioned, "WarmThroughputMiBps": 1}, codeValidation,
			"WarmThroughputMiBps is supported for data streams with the On-Demand capacity mode only."},
		{doc{"StreamARN": arn, "StreamModeDetails": onDemand, "WarmThroughputMiBps": 1}, codeValidation,
			"WarmThroughputMiBps requires MinimumThroughputBillingCommitment to be enabled for the account 123456789012."},
		{doc{"StreamARN": s.streamARN("auto"), "StreamModeDetails": provisioned}, codeInvalidArgument,
			"Stream auto under account 123456789012 has the record distribution strategy AUTO, which is supported in On-Demand mode only."},
		{doc{"StreamARN": s.streamARN("four"), "StreamModeDetails": provisioned}, codeLimitExceeded,
			"This request would exceed the shard limit for the account 123456789012 in us-east-1. Current shard count for the account: 1. Limit: 3. " +
				"Number of additional shards that would have resulted from this request: 4. " +
				"Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) " +
				"for current limits and how to request higher limits."},
	} {
		s.refused("UpdateStreamMode", c.in, c.code, c.message)
	}
}

func TestTheLargestRecordChanges(t *testing.T) {
	s := newServer(t, Config{})
	s.create("a", 1)
	arn := s.streamARN("a")
	if got := *s.summary("a").MaxRecordSizeInKiB; got != 1024 {
		t.Errorf("%d KiB by default", got)
	}
	must[any](s, "UpdateMaxRecordSize", doc{"StreamARN": arn, "MaxRecordSizeInKiB": 10240})
	s.restart()
	if k, _ := s.known("a"); *s.summary("a").MaxRecordSizeInKiB != 10240 || k.Config().MaxRecordSize != 10<<20 {
		t.Errorf("%d bytes", k.Config().MaxRecordSize)
	}
	for _, c := range []struct {
		in            doc
		code, message string
	}{
		{doc{}, codeValidation, "1 validation error detected: Value null at 'maxRecordSizeInKiB' failed to satisfy constraint: Member must not be null"},
		{doc{"MaxRecordSizeInKiB": 10241, "StreamARN": "a"}, codeValidation, "2 validation errors detected: " +
			"Value '10241' at 'maxRecordSizeInKiB' failed to satisfy constraint: Member must have value less than or equal to 10240; " +
			`Value 'a' at 'streamARN' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:stream/\S+`},
		{doc{"MaxRecordSizeInKiB": 2048}, codeInvalidArgument, "Either StreamName or StreamARN should be provided."},
	} {
		s.refused("UpdateMaxRecordSize", c.in, c.code, c.message)
	}
}

func TestWarmThroughputOpensAShardForEachMiB(t *testing.T) {
	s := newServer(t, Config{})
	s.commit()
	must[any](s, "CreateStream", doc{"StreamName": "a", "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}, "WarmThroughputMiBps": 6})
	if got := s.summary("a"); got.OpenShardCount != 6 || *got.WarmThroughput.CurrentMiBps != 6 || *got.WarmThroughput.TargetMiBps != 6 {
		t.Errorf("summary: %+v", got)
	}
	out := must[UpdateStreamWarmThroughputOutput](s, "UpdateStreamWarmThroughput", doc{"StreamName": "a", "WarmThroughputMiBps": 9})
	if out.StreamName != "a" || out.StreamARN != s.streamARN("a") || *out.WarmThroughput.CurrentMiBps != 9 || *out.WarmThroughput.TargetMiBps != 9 {
		t.Errorf("output: %+v", out)
	}
	out = must[UpdateStreamWarmThroughputOutput](s, "UpdateStreamWarmThroughput", doc{"StreamARN": s.streamARN("a"), "WarmThroughputMiBps": 2})
	if *out.WarmThroughput.CurrentMiBps != 9 || *out.WarmThroughput.TargetMiBps != 2 {
		t.Errorf("a lower target: %+v", out)
	}
	if k, _ := s.known("a"); s.warmShardsOf(k.Stream) != 2 {
		t.Errorf("%d shards are kept", s.warmShardsOf(k.Stream))
	}
	s.create("b", 2)
	must[any](s, "UpdateStreamMode", doc{"StreamARN": s.streamARN("b"), "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}, "WarmThroughputMiBps": 5})
	if got := s.summary("b"); got.OpenShardCount != 5 || *got.WarmThroughput.TargetMiBps != 5 {
		t.Errorf("summary: %+v", got)
	}
	s.mode("b", "PROVISIONED")
	if k, _ := s.known("b"); k.meta().WarmMiBps != 0 || s.summary("b").WarmThroughput != nil {
		t.Errorf("a provisioned stream keeps %d MiB/s warm", k.meta().WarmMiBps)
	}
}

func TestUpdateStreamWarmThroughputRefuses(t *testing.T) {
	s := newServer(t, Config{})
	s.create("provisioned", 1)
	must[any](s, "CreateStream", doc{"StreamName": "a", "StreamModeDetails": doc{"StreamMode": "ON_DEMAND"}})
	s.refused("UpdateStreamWarmThroughput", doc{"StreamName": "a", "WarmThroughputMiBps": 5}, codeValidation,
		"WarmThroughputMiBps requires MinimumThroughputBillingCommitment to be enabled for the account 123456789012.")
	s.commit()
	for _, c := range []struct {
		in            doc
		code, message string
	}{
		{doc{"StreamName": "!"}, codeValidation, "2 validation errors detected: " +
			"Value '!' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
			"Value null at 'warmThroughputMiBps' failed to satisfy constraint: Member must not be null"},
		{doc{"WarmThroughputMiBps": 5}, codeInvalidArgument, "Either StreamName or StreamARN should be provided."},
		{doc{"StreamName": "provisioned", "WarmThroughputMiBps": 5}, codeValidation,
			"WarmThroughputMiBps is supported for data streams with the On-Demand capacity mode only."},
		{doc{"StreamName": "a", "WarmThroughputMiBps": 10241}, codeLimitExceeded,
			"WarmThroughputMiBps 10241 exceeds the limit of 10240 for an On-Demand stream of the account 123456789012."},
	} {
		s.refused("UpdateStreamWarmThroughput", c.in, c.code, c.message)
	}
}

func TestTheRecordDistributionStrategyIsForOnDemandStreams(t *testing.T) {
	s := newServer(t, Config{})
	s.create("a", 1)
	const operation = "UpdateStreamRecordDistributionStrategy"
	in := func(strategy string) doc {
		return doc{"StreamARN": s.streamARN("a"), "RecordDistributionStrategy": strategy}
	}
	s.refused(operation, doc{}, codeValidation, "2 validation errors detected: "+
		"Value null at 'streamARN' failed to satisfy constraint: Member must not be null; "+
		"Value null at 'recordDistributionStrategy' failed to satisfy constraint: Member must not be null")
	s.refused(operation, in("SOME"), codeValidation, "1 validation error detected: "+
		"Value 'SOME' at 'recordDistributionStrategy' failed to satisfy constraint: Member must satisfy enum value set: [AUTO, USER_PARTITION_KEY]")
	s.refused(operation, in("AUTO"), codeInvalidArgument,
		"RecordDistributionStrategy AUTO is not supported for stream a under account 123456789012: it is supported in On-Demand mode only.")
	must[any](s, operation, in("USER_PARTITION_KEY"))
	s.mode("a", "ON_DEMAND")
	for _, strategy := range []string{"AUTO", "USER_PARTITION_KEY", "AUTO"} {
		must[any](s, operation, in(strategy))
		if got := s.summary("a"); got.RecordDistributionStrategy != strategy || got.StreamStatus != "ACTIVE" {
			t.Errorf("summary: %+v", got)
		}
	}
	s.restart()
	if k, _ := s.known("a"); !k.meta().AutoDistribution || k.Config().Mode != stream.OnDemand {
		t.Errorf("after a restart: %+v, %+v", k.meta(), k.Config())
	}
}
