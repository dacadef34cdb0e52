package kinesis

import (
	"context"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/wire"
)

// shardMetrics are the metrics of single shards that can be turned on, in the model's order.
var shardMetrics = []string{
	"IncomingBytes", "IncomingRecords", "OutgoingBytes", "OutgoingRecords",
	"WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded", "IteratorAgeMilliseconds",
}

// allShardMetrics stands for all of them in a request.
const allShardMetrics = "ALL"

// monitoringOperations are the operations on the metrics of single shards.
func (a *API) monitoringOperations(ops map[string]wire.Handler) {
	ops["EnableEnhancedMonitoring"] = operation(a.enableEnhancedMonitoring)
	ops["DisableEnhancedMonitoring"] = operation(a.disableEnhancedMonitoring)
}

func (in *EnableEnhancedMonitoringInput) validate(v *violations) {
	v.shardMetrics(in.ShardLevelMetrics)
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
}

func (a *API) enableEnhancedMonitoring(ctx context.Context, in *EnableEnhancedMonitoringInput) (*EnableEnhancedMonitoringOutput, error) {
	k, err := a.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	current, desired, err := k.changeMonitoring(ctx, in.ShardLevelMetrics, true)
	if err != nil {
		return nil, err
	}
	return &EnableEnhancedMonitoringOutput{StreamName: k.Name(), StreamARN: k.ARN(), CurrentShardLevelMetrics: current, DesiredShardLevelMetrics: desired}, nil
}

func (in *DisableEnhancedMonitoringInput) validate(v *violations) {
	v.shardMetrics(in.ShardLevelMetrics)
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
}

func (a *API) disableEnhancedMonitoring(ctx context.Context, in *DisableEnhancedMonitoringInput) (*DisableEnhancedMonitoringOutput, error) {
	k, err := a.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	current, desired, err := k.changeMonitoring(ctx, in.ShardLevelMetrics, false)
	if err != nil {
		return nil, err
	}
	return &DisableEnhancedMonitoringOutput{StreamName: k.Name(), StreamARN: k.ARN(), CurrentShardLevelMetrics: current, DesiredShardLevelMetrics: desired}, nil
}

// changeMonitoring turns metrics on or off, and returns those that were on before and those that are on now.
func (k *known) changeMonitoring(ctx context.Context, metrics []string, on bool) (current, desired []string, err error) {
	current, desired = []string{}, []string{}
	err = k.transition(ctx, statusUpdating, func() error {
		return k.update(ctx, func(m *meta) error {
			current = append(current, m.ShardMetrics...)
			for _, metric := range shardMetrics {
				named := slices.Contains(metrics, metric) || slices.Contains(metrics, allShardMetrics)
				if named && on || !named && slices.Contains(current, metric) {
					desired = append(desired, metric)
				}
			}
			m.ShardMetrics = desired
			return nil
		})
	})
	k.metrics.ShardLevel(k.meta().ShardMetrics)
	return current, desired, err
}

// enhancedMonitoring describes the metrics that are on.
func (k *known) enhancedMonitoring() []EnhancedMetrics {
	return []EnhancedMetrics{{ShardLevelMetrics: append([]string{}, k.meta().ShardMetrics...)}}
}

// shardMetrics notes how a list of metrics violates the model.
func (v *violations) shardMetrics(metrics []string) {
	values := append(slices.Clone(shardMetrics), allShardMetrics)
	v.required("shardLevelMetrics", metrics == nil)
	v.list("shardLevelMetrics", metrics, 1, len(shardMetrics), func(m string) bool { return slices.Contains(values, m) },
		"Member must satisfy enum value set: ["+strings.Join(values, ", ")+"]")
}
