package kinesis

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

// Bounds of the consumers of one stream, from the API reference of RegisterStreamConsumer.
const (
	maxConsumers         = 20
	maxConsumersOnDemand = 50 // of an on-demand stream, if the account is committed to a minimum throughput
	maxCreatingConsumers = 5  // in the state CREATING at the same time
)

// Kinds of string members, from the model.
var (
	consumerName = text{1, 128, namePattern, isName}
	consumerARN  = pattern(1, 2048, `^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+`)
)

// consumer is a registered consumer with enhanced fan-out, as the meta of its stream holds it.
type consumer struct {
	Name string `json:"name"`
	// Created is when it was registered, in seconds since the Unix epoch. It is part of the ARN.
	Created int64             `json:"created"`
	Tags    map[string]string `json:"tags,omitempty"` // at most 50
	Policy  string            `json:"policy,omitempty"`
	// Ready is when the state CREATING ends.
	Ready time.Time `json:"ready,omitzero"`
	// Gone is when the state DELETING ends, and with it the consumer; zero while it is registered.
	Gone time.Time `json:"gone,omitzero"`
}

func (a *API) consumerStatus(c *consumer) status {
	switch {
	case !c.Gone.IsZero():
		return statusDeleting
	case a.lasts(c.Ready):
		return statusCreating
	}
	return statusActive
}

// withoutGone drops the consumers that are there no more: those that were DELETING stay stored until consumers change again.
func (a *API) withoutGone(cs []consumer) []consumer {
	return slices.DeleteFunc(cs, func(c consumer) bool { return !c.Gone.IsZero() && !a.lasts(c.Gone) })
}

func (k *known) consumerARN(c *consumer) string {
	return k.ARN() + "/consumer/" + c.Name + ":" + strconv.FormatInt(c.Created, 10)
}

// consumers are the stream's consumers, by name, also those in the state DELETING.
func (k *known) consumers() []consumer {
	return k.api.withoutGone(slices.Clone(k.meta().Consumers))
}

// consumer returns the stream's consumer of a name.
func (k *known) consumer(name string) (*consumer, error) {
	cs := k.consumers()
	i := slices.IndexFunc(cs, func(c consumer) bool { return c.Name == name })
	if i < 0 {
		return nil, k.noConsumer(name)
	}
	return &cs[i], nil
}

// registered fails if a consumer is not registered any more.
func (k *known) registered(c *consumer) error {
	i := slices.IndexFunc(k.meta().Consumers, func(o consumer) bool { return o.Name == c.Name && o.Created == c.Created && o.Gone.IsZero() })
	if i < 0 {
		return k.noConsumer(c.Name)
	}
	return nil
}

// changeConsumer changes a registered consumer in one durable step.
func (k *known) changeConsumer(ctx context.Context, of *consumer, change func(*consumer) error) error {
	return k.update(ctx, func(m *meta) error {
		for i := range m.Consumers {
			if c := &m.Consumers[i]; c.Name == of.Name && c.Created == of.Created {
				return change(c)
			}
		}
		return k.noConsumer(of.Name)
	})
}

func (k *known) noConsumer(name string) error {
	return fail(codeResourceNotFound, "Consumer %s under stream %s and account %s not found.", name, k.Name(), k.api.cfg.Account)
}

// findConsumer returns the consumer that a request names: by its ARN, by its stream's ARN and its name, or by all three if
// they mean the same one.
func (a *API) findConsumer(arn, streamARN, name *string) (*known, *consumer, error) {
	if arn == nil {
		if streamARN == nil || name == nil {
			return nil, nil, fail(codeInvalidArgument, "Either ConsumerARN or both StreamARN and ConsumerName should be provided.")
		}
		k, err := a.find(nil, streamARN)
		if err != nil {
			return nil, nil, err
		}
		c, err := k.consumer(*name)
		return k, c, err
	}
	of, rest, _ := strings.Cut(*arn, "/consumer/")
	called, created, _ := strings.Cut(rest, ":")
	if streamARN != nil && *streamARN != of || name != nil && *name != called {
		return nil, nil, fail(codeInvalidArgument, "ConsumerARN %s, StreamARN and ConsumerName do not name the same consumer.", *arn)
	}
	k, err := a.find(nil, &of)
	if err != nil {
		return nil, nil, err
	}
	c, err := k.consumer(called)
	if err != nil {
		return nil, nil, err
	}
	if strconv.FormatInt(c.Created, 10) != created { // registered anew since
		return nil, nil, fail(codeResourceNotFound, "Consumer %s with creation timestamp %s under stream %s and account %s not found.", called, created, k.Name(), a.cfg.Account)
	}
	return k, c, nil
}

// consumerOperations are the operations on registered consumers.
func (a *API) consumerOperations(ops map[string]wire.Handler) {
	ops["RegisterStreamConsumer"] = operation(a.registerStreamConsumer)
	ops["DeregisterStreamConsumer"] = operation(a.deregisterStreamConsumer)
	ops["DescribeStreamConsumer"] = operation(a.describeStreamConsumer)
	ops["ListStreamConsumers"] = operation(a.listStreamConsumers)
}

func (in *RegisterStreamConsumerInput) validate(v *violations) {
	streamARN.need(v, "streamARN", in.StreamARN)
	consumerName.need(v, "consumerName", in.ConsumerName)
	v.tags(in.Tags)
}

func (a *API) registerStreamConsumer(ctx context.Context, in *RegisterStreamConsumerInput) (*RegisterStreamConsumerOutput, error) {
	k, err := a.find(nil, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if s := k.status(); s == statusCreating || s == statusDeleting {
		return nil, k.notActive(s)
	}
	if err := a.checkTags("add tags to consumer "+*in.ConsumerName+" of stream "+k.Name(), in.Tags); err != nil {
		return nil, err
	}
	if len(in.Tags) > maxTags {
		return nil, fail(codeInvalidArgument, "Failed to register consumer %s because a given consumer cannot have more than %d tags associated with it.", *in.ConsumerName, maxTags)
	}
	limit := maxConsumers
	if k.Config().Mode == stream.OnDemand && a.committed() {
		limit = maxConsumersOnDemand
	}
	now := a.cfg.Now()
	c := consumer{Name: *in.ConsumerName, Created: now.Unix(), Tags: in.Tags, Ready: now.Add(a.cfg.Transition)}
	err = k.update(ctx, func(m *meta) error {
		m.Consumers = a.withoutGone(m.Consumers)
		creating := 0
		for i := range m.Consumers {
			if m.Consumers[i].Name == c.Name {
				return fail(codeResourceInUse, "Consumer %s under stream %s already exists for account %s.", c.Name, k.Name(), a.cfg.Account)
			}
			if a.consumerStatus(&m.Consumers[i]) == statusCreating {
				creating++
			}
		}
		if len(m.Consumers) >= limit {
			return fail(codeLimitExceeded, "Stream %s under account %s has reached the limit of %d consumers.", k.Name(), a.cfg.Account, limit)
		}
		if creating >= maxCreatingConsumers {
			return fail(codeLimitExceeded, "Stream %s under account %s has %d consumers in CREATING status, no more can be registered at the same time.", k.Name(), a.cfg.Account, creating)
		}
		i, _ := slices.BinarySearchFunc(m.Consumers, c.Name, func(c consumer, name string) int { return strings.Compare(c.Name, name) })
		m.Consumers = slices.Insert(m.Consumers, i, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := k.consumerOutput(&c)
	out.ConsumerStatus = string(statusCreating) // what the service answers; DescribeStreamConsumer tells how it goes on
	return &RegisterStreamConsumerOutput{Consumer: &out}, nil
}

func (k *known) consumerOutput(c *consumer) Consumer {
	return Consumer{
		ConsumerARN:               k.consumerARN(c),
		ConsumerCreationTimestamp: wire.At(time.Unix(c.Created, 0)),
		ConsumerName:              c.Name,
		ConsumerStatus:            string(k.api.consumerStatus(c)),
	}
}

func (in *DeregisterStreamConsumerInput) validate(v *violations) {
	streamARN.check(v, "streamARN", in.StreamARN)
	consumerName.check(v, "consumerName", in.ConsumerName)
	consumerARN.check(v, "consumerARN", in.ConsumerARN)
}

// deregisterStreamConsumer ends the consumer's subscriptions at once, also if the state DELETING lasts longer.
func (a *API) deregisterStreamConsumer(ctx context.Context, in *DeregisterStreamConsumerInput) (none, error) {
	k, c, err := a.findConsumer(in.ConsumerARN, in.StreamARN, in.ConsumerName)
	if err != nil {
		return nil, err
	}
	err = k.update(ctx, func(m *meta) error {
		i := slices.IndexFunc(m.Consumers, func(o consumer) bool { return o.Name == c.Name && o.Created == c.Created })
		if i >= 0 && m.Consumers[i].Gone.IsZero() {
			m.Consumers[i].Gone = a.cfg.Now().Add(a.cfg.Transition)
		}
		m.Consumers = a.withoutGone(m.Consumers)
		return nil
	})
	if err != nil {
		return nil, err
	}
	k.fanout.close(k.consumerARN(c), k.noConsumer(c.Name))
	k.metrics.ForgetConsumer(c.Name)
	return nil, nil
}

func (in *DescribeStreamConsumerInput) validate(v *violations) {
	streamARN.check(v, "streamARN", in.StreamARN)
	consumerName.check(v, "consumerName", in.ConsumerName)
	consumerARN.check(v, "consumerARN", in.ConsumerARN)
}

func (a *API) describeStreamConsumer(_ context.Context, in *DescribeStreamConsumerInput) (*DescribeStreamConsumerOutput, error) {
	k, c, err := a.findConsumer(in.ConsumerARN, in.StreamARN, in.ConsumerName)
	if err != nil {
		return nil, err
	}
	out := k.consumerOutput(c)
	return &DescribeStreamConsumerOutput{ConsumerDescription: &ConsumerDescription{
		ConsumerARN:               out.ConsumerARN,
		ConsumerCreationTimestamp: out.ConsumerCreationTimestamp,
		ConsumerName:              out.ConsumerName,
		ConsumerStatus:            out.ConsumerStatus,
		StreamARN:                 k.ARN(),
	}}, nil
}

func (in *ListStreamConsumersInput) validate(v *violations) {
	streamARN.need(v, "streamARN", in.StreamARN)
	nextToken.check(v, "nextToken", in.NextToken)
	within(v, "maxResults", in.MaxResults, 1, 10_000)
}

// defaultConsumersPage is how many consumers one answer lists if the request does not say.
const defaultConsumersPage = 100

func (a *API) listStreamConsumers(_ context.Context, in *ListStreamConsumersInput) (*ListStreamConsumersOutput, error) {
	if in.NextToken != nil && in.StreamCreationTimestamp != nil {
		return nil, fail(codeInvalidArgument, "NextToken and StreamCreationTimestamp cannot be provided together.")
	}
	k, err := a.find(nil, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if err := k.createdAt(in.StreamCreationTimestamp); err != nil {
		return nil, err
	}
	after := "" // the name that the page begins behind
	incarnation := k.Incarnation()
	if in.NextToken != nil {
		payload, err := a.openNextToken(tokenConsumers, *in.NextToken)
		if err != nil {
			return nil, err
		}
		if !bytes.HasPrefix(payload, incarnation[:]) {
			return nil, fail(codeInvalidArgument, "NextToken is invalid.")
		}
		after = string(payload[len(incarnation):])
	}
	page := defaultConsumersPage
	if in.MaxResults != nil {
		page = int(*in.MaxResults)
	}
	out := &ListStreamConsumersOutput{Consumers: []Consumer{}}
	for _, c := range k.consumers() {
		if c.Name <= after {
			continue
		}
		if len(out.Consumers) == page {
			last := out.Consumers[page-1].ConsumerName
			out.NextToken = a.tokens.seal(tokenConsumers, append(incarnation[:], last...))
			break
		}
		out.Consumers = append(out.Consumers, k.consumerOutput(&c))
	}
	return out, nil
}
