package kinesis

import (
	"context"
	"time"

	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

// Bounds of the retention in hours.
const (
	minRetentionHours = int32(stream.MinRetention / time.Hour)
	maxRetentionHours = int32(stream.MaxRetention / time.Hour)
)

// retentionOperations are the operations on how long a stream keeps its records.
func (a *API) retentionOperations(ops map[string]wire.Handler) {
	ops["IncreaseStreamRetentionPeriod"] = operation(a.increaseRetention)
	ops["DecreaseStreamRetentionPeriod"] = operation(a.decreaseRetention)
}

func (in *IncreaseStreamRetentionPeriodInput) validate(v *violations) {
	v.required("retentionPeriodHours", in.RetentionPeriodHours == nil)
	within(v, "retentionPeriodHours", in.RetentionPeriodHours, 1, 10_000)
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
}

func (a *API) increaseRetention(ctx context.Context, in *IncreaseStreamRetentionPeriodInput) (none, error) {
	k, err := a.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	return nil, k.changeRetention(ctx, *in.RetentionPeriodHours, func(now int32) error {
		if *in.RetentionPeriodHours >= now {
			return nil
		}
		return fail(codeInvalidArgument, "Requested retention period (%d hours) for stream %s can not be shorter than existing retention period (%d hours). "+
			"Use DecreaseRetentionPeriod API.", *in.RetentionPeriodHours, k.Name(), now)
	})
}

func (in *DecreaseStreamRetentionPeriodInput) validate(v *violations) {
	v.required("retentionPeriodHours", in.RetentionPeriodHours == nil)
	within(v, "retentionPeriodHours", in.RetentionPeriodHours, 1, 10_000)
	streamName.check(v, "streamName", in.StreamName)
	streamARN.check(v, "streamARN", in.StreamARN)
}

func (a *API) decreaseRetention(ctx context.Context, in *DecreaseStreamRetentionPeriodInput) (none, error) {
	k, err := a.find(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	return nil, k.changeRetention(ctx, *in.RetentionPeriodHours, func(now int32) error {
		if *in.RetentionPeriodHours <= now {
			return nil
		}
		return fail(codeInvalidArgument, "Requested retention period (%d hours) for stream %s can not be longer than existing retention period (%d hours). "+
			"Use IncreaseRetentionPeriod API.", *in.RetentionPeriodHours, k.Name(), now)
	})
}

// changeRetention sets the retention of a stream to a number of hours, if allowed says nil about the current one. A hold,
// which only pipelines give, stays.
func (k *known) changeRetention(ctx context.Context, hours int32, allowed func(now int32) error) error {
	switch {
	case hours < minRetentionHours:
		return fail(codeInvalidArgument, "Minimum allowed retention period is %d hours. Requested retention period (%d hours) is too short.",
			minRetentionHours, hours)
	case hours > maxRetentionHours:
		return fail(codeInvalidArgument, "Maximum allowed retention period is %d hours. Requested retention period (%d hours) is too long.",
			maxRetentionHours, hours)
	}
	if err := allowed(k.retentionHours()); err != nil {
		return err
	}
	return k.transition(ctx, statusUpdating, func() error {
		if err := allowed(k.retentionHours()); err != nil { // changed since, and must not become shorter by an increase
			return err
		}
		return k.Update(ctx, func(c *stream.Config) error {
			c.Retention.Age = time.Duration(hours) * time.Hour
			return nil
		})
	})
}
