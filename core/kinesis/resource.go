package kinesis

import (
	"context"
	"strings"
)

// resourceARN is the kind of ARNs that name a stream or a registered consumer.
var resourceARN = pattern(1, 2048, `arn:aws.*:kinesis:.*:\d{12}:.*stream/\S+`)

// resource is what can have tags and a policy: a stream, or a consumer of it.
type resource struct {
	stream   *known
	consumer *consumer // nil for the stream itself
}

// resourceState is what is stored of a resource, within a change.
type resourceState struct {
	tags   *map[string]string
	policy *string
}

// resource finds what an ARN names.
func (a *API) resource(arn string) (r resource, err error) {
	if strings.Contains(arn, "/consumer/") {
		r.stream, r.consumer, err = a.findConsumer(&arn, nil, nil)
	} else {
		r.stream, err = a.find(nil, &arn)
	}
	return r, err
}

func (r resource) tags() map[string]string {
	if r.consumer != nil {
		return r.consumer.Tags
	}
	return r.stream.meta().Tags
}

func (r resource) policy() string {
	if r.consumer != nil {
		return r.consumer.Policy
	}
	return r.stream.meta().Policy
}

// update changes a resource in one durable step. If change or the write fails, nothing changes.
func (r resource) update(ctx context.Context, change func(resourceState) error) error {
	if r.consumer != nil {
		return r.stream.changeConsumer(ctx, r.consumer, func(c *consumer) error {
			return change(resourceState{&c.Tags, &c.Policy})
		})
	}
	return r.stream.update(ctx, func(m *meta) error {
		return change(resourceState{&m.Tags, &m.Policy})
	})
}

// String names the resource as in the service's errors.
func (r resource) String() string {
	if r.consumer != nil {
		return "consumer " + r.consumer.Name + " of stream " + r.stream.Name()
	}
	return "stream " + r.stream.Name()
}

// kind says what the resource is.
func (r resource) kind() string {
	if r.consumer != nil {
		return "consumer"
	}
	return "stream"
}
