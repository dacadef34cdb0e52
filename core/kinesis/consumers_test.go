package kinesis

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/wire"
)

func TestConsumersAreFoundByEitherName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{}, 1)
		made := must[RegisterStreamConsumerOutput](w.server, "RegisterStreamConsumer", RegisterStreamConsumerInput{
			StreamARN: w.arn(), ConsumerName: new("c"), Tags: map[string]string{"team": "birds"}}).Consumer
		if want := *w.arn() + "/consumer/c:946684800"; made.ConsumerARN != want || made.ConsumerStatus != "CREATING" ||
			!made.ConsumerCreationTimestamp.Equal(time.Unix(946684800, 0)) {
			t.Errorf("registered %+v, want ARN %s", made, want)
		}
		for _, in := range []DescribeStreamConsumerInput{
			{ConsumerARN: &made.ConsumerARN},
			{StreamARN: w.arn(), ConsumerName: new("c")},
			{StreamARN: w.arn(), ConsumerName: new("c"), ConsumerARN: &made.ConsumerARN},
		} {
			got := must[DescribeStreamConsumerOutput](w.server, "DescribeStreamConsumer", in).ConsumerDescription
			if got.ConsumerARN != made.ConsumerARN || got.ConsumerName != "c" || got.ConsumerStatus != "ACTIVE" || got.StreamARN != *w.arn() {
				t.Errorf("described %+v", got)
			}
		}
		tags := must[ListTagsForResourceOutput](w.server, "ListTagsForResource", ListTagsForResourceInput{ResourceARN: &made.ConsumerARN}).Tags
		if len(tags) != 1 || tags[0] != (Tag{"team", "birds"}) {
			t.Errorf("tags %v", tags)
		}
		for _, c := range []struct {
			in         DescribeStreamConsumerInput
			code, text string
		}{
			{DescribeStreamConsumerInput{}, codeInvalidArgument, ""},
			{DescribeStreamConsumerInput{StreamARN: w.arn()}, codeInvalidArgument, ""},
			{DescribeStreamConsumerInput{ConsumerName: new("c")}, codeInvalidArgument, ""},
			{DescribeStreamConsumerInput{ConsumerARN: &made.ConsumerARN, ConsumerName: new("d")}, codeInvalidArgument, ""},
			{DescribeStreamConsumerInput{ConsumerARN: &made.ConsumerARN, StreamARN: new(w.streamARN("fish"))}, codeInvalidArgument, ""},
			{DescribeStreamConsumerInput{StreamARN: w.arn(), ConsumerName: new("d")}, codeResourceNotFound,
				"Consumer d under stream birds and account 123456789012 not found."},
			{DescribeStreamConsumerInput{ConsumerARN: new(*w.arn() + "/consumer/c:1")}, codeResourceNotFound,
				"Consumer c with creation timestamp 1 under stream birds and account 123456789012 not found."},
			{DescribeStreamConsumerInput{StreamARN: new(w.streamARN("fish")), ConsumerName: new("c")}, codeResourceNotFound,
				"Stream fish under account 123456789012 not found."},
		} {
			wantFailure(t, w.call("DescribeStreamConsumer", c.in, nil), c.code, c.text)
		}
		wantFailure(t, w.call("RegisterStreamConsumer", RegisterStreamConsumerInput{StreamARN: w.arn(), ConsumerName: new("c")}, nil),
			codeResourceInUse, "Consumer c under stream birds already exists for account 123456789012.")
	})
}

func TestStatesOfConsumersLastOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const transition = 10 * time.Second
		w := newFanWorld(t, Config{Transition: transition}, 1)
		arn := w.register("c")
		status := func() string {
			t.Helper()
			var out DescribeStreamConsumerOutput
			if err := w.call("DescribeStreamConsumer", DescribeStreamConsumerInput{ConsumerARN: arn}, &out); err != nil {
				wantFailure(t, err, codeResourceNotFound, "")
				return "gone"
			}
			return out.ConsumerDescription.ConsumerStatus
		}
		want := func(s string) {
			t.Helper()
			if got := status(); got != s {
				t.Errorf("the consumer is %s, want %s", got, s)
			}
		}
		time.Sleep(transition - 1)
		w.restart()
		want("CREATING")
		time.Sleep(time.Nanosecond)
		want("ACTIVE")
		for range 2 { // the second call changes nothing
			if err := w.call("DeregisterStreamConsumer", DeregisterStreamConsumerInput{ConsumerARN: arn}, nil); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(transition - 1)
		w.restart()
		want("DELETING")
		wantFailure(t, w.call("DeleteStream", DeleteStreamInput{StreamARN: w.arn()}, nil), codeResourceInUse, "")
		time.Sleep(time.Nanosecond)
		want("gone")
		if again := w.register("c"); *again == *arn {
			t.Error("a consumer that was registered again has the ARN of the first one")
		}
	})
}

func TestStatesOfConsumersEndSoonerIfTheFlagSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{Transition: time.Hour}, 1)
		stays, goes := w.register("stays"), w.register("goes")
		must[any](w.server, "DeregisterStreamConsumer", DeregisterStreamConsumerInput{ConsumerARN: goes})
		w.cfg.Transition = 0
		w.restart()
		out := must[ListStreamConsumersOutput](w.server, "ListStreamConsumers", ListStreamConsumersInput{StreamARN: w.arn()})
		if len(out.Consumers) != 1 || out.Consumers[0].ConsumerARN != *stays || out.Consumers[0].ConsumerStatus != "ACTIVE" {
			t.Errorf("consumers: %+v", out.Consumers)
		}
	})
}

func TestHowManyConsumersAStreamHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{Transition: time.Second}, 1)
		if _, err := w.API.cfg.Streams.Create(t.Context(), "demand", stream.Config{Mode: stream.OnDemand}); err != nil {
			t.Fatal(err)
		}
		register := func(arn string, i int) error {
			return w.call("RegisterStreamConsumer", RegisterStreamConsumerInput{StreamARN: &arn, ConsumerName: new(fmt.Sprintf("c%02d", i))}, nil)
		}
		fill := func(arn string, from, to int) {
			t.Helper()
			for i := from; i < to; i++ {
				if i%maxCreatingConsumers == 0 {
					time.Sleep(time.Second)
				}
				if err := register(arn, i); err != nil {
					t.Fatalf("consumer %d: %v", i, err)
				}
			}
			time.Sleep(time.Second)
			wantFailure(t, register(arn, to), codeLimitExceeded, "")
		}
		for i := range maxCreatingConsumers {
			if err := register(*w.arn(), i); err != nil {
				t.Fatal(err)
			}
		}
		wantFailure(t, register(*w.arn(), maxCreatingConsumers), codeLimitExceeded, "")
		fill(*w.arn(), maxCreatingConsumers, 20)
		fill(w.streamARN("demand"), 0, 20)
		err := w.call("UpdateAccountSettings", UpdateAccountSettingsInput{
			MinimumThroughputBillingCommitment: &MinimumThroughputBillingCommitmentInput{Status: new("ENABLED")}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		fill(w.streamARN("demand"), 20, 50)
		wantFailure(t, register(*w.arn(), 20), codeLimitExceeded, "") // only on-demand streams get more
	})
}

func TestConsumersAreListedInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFanWorld(t, Config{}, 1)
		for i := range 7 {
			w.register(fmt.Sprintf("c%d", 6-i))
		}
		list := func(in ListStreamConsumersInput) (names []string, token string, err error) {
			in.StreamARN = w.arn()
			var out ListStreamConsumersOutput
			err = w.call("ListStreamConsumers", in, &out)
			for _, c := range out.Consumers {
				names = append(names, c.ConsumerName)
			}
			return names, out.NextToken, err
		}
		var all []string
		page, token, err := list(ListStreamConsumersInput{MaxResults: new(int32(3)), StreamCreationTimestamp: new(wire.At(w.stream.Created()))})
		first := token
		for pages := 1; ; pages++ {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, page...)
			if token == "" {
				if pages != 3 {
					t.Errorf("%d pages", pages)
				}
				break
			}
			page, token, err = list(ListStreamConsumersInput{MaxResults: new(int32(3)), NextToken: &token})
		}
		if got := strings.Join(all, " "); got != "c0 c1 c2 c3 c4 c5 c6" {
			t.Errorf("listed %s", got)
		}
		time.Sleep(300 * time.Second)
		if names, _, err := list(ListStreamConsumersInput{NextToken: &first}); len(names) != 4 || err != nil {
			t.Errorf("after 300 s the token lists %v, %v", names, err)
		}
		time.Sleep(time.Nanosecond)
		_, _, err = list(ListStreamConsumersInput{NextToken: &first})
		wantFailure(t, err, codeExpiredNextToken, "")
		_, _, err = list(ListStreamConsumersInput{NextToken: new("AAAA")})
		wantFailure(t, err, codeInvalidArgument, "NextToken is invalid.")
		_, _, err = list(ListStreamConsumersInput{StreamCreationTimestamp: new(wire.At(w.stream.Created().Add(-time.Hour)))})
		wantFailure(t, err, codeResourceNotFound, "")

		// A token of a stream that was deleted means nothing in the next one of that name.
		_, token, _ = list(ListStreamConsumersInput{MaxResults: new(int32(1))})
		if err := w.call("DeleteStream", DeleteStreamInput{StreamARN: w.arn(), EnforceConsumerDeletion: new(true)}, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := w.API.cfg.Streams.Create(t.Context(), "birds", stream.Config{}); err != nil {
			t.Fatal(err)
		}
		_, _, err = list(ListStreamConsumersInput{NextToken: &token})
		wantFailure(t, err, codeInvalidArgument, "NextToken is invalid.")
		if names, _, err := list(ListStreamConsumersInput{}); len(names) != 0 || err != nil {
			t.Errorf("a new stream has the consumers %v, %v", names, err)
		}
	})
}
