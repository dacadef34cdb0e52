package kinesis

import (
	"reflect"
	"testing"
)

func TestMetricsOfShardsAreTurnedOnAndOff(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 1)
	for _, step := range []struct {
		operation string
		named     []string
		want      []string
	}{
		{"EnableEnhancedMonitoring", []string{"OutgoingBytes", "IncomingBytes"}, []string{"IncomingBytes", "OutgoingBytes"}},
		{"EnableEnhancedMonitoring", []string{"IncomingBytes"}, []string{"IncomingBytes", "OutgoingBytes"}},
		{"DisableEnhancedMonitoring", []string{"IncomingBytes", "IteratorAgeMilliseconds"}, []string{"OutgoingBytes"}},
		{"EnableEnhancedMonitoring", []string{"ALL"}, shardMetrics},
		{"DisableEnhancedMonitoring", []string{"ALL"}, []string{}},
	} {
		before := s.summary("s").EnhancedMonitoring[0].ShardLevelMetrics
		out := must[EnableEnhancedMonitoringOutput](s, step.operation, doc{"StreamName": "s", "ShardLevelMetrics": step.named})
		s.restart()
		after := s.summary("s").EnhancedMonitoring[0].ShardLevelMetrics
		if out.StreamName != "s" || out.StreamARN != s.summary("s").StreamARN || !reflect.DeepEqual(out.CurrentShardLevelMetrics, before) ||
			!reflect.DeepEqual(out.DesiredShardLevelMetrics, step.want) || !reflect.DeepEqual(after, step.want) {
			t.Errorf("%s of %v: %+v, then on are %v", step.operation, step.named, out, after)
		}
	}
}
