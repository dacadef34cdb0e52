package kinesis

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// sdkClient is the SDK's client for a server on a port.
func (s *server) sdkClient() *sdk.Client {
	transport := &http.Transport{}
	s.t.Cleanup(transport.CloseIdleConnections)
	return sdk.New(sdk.Options{
		BaseEndpoint: aws.String("http://" + listen(s.t, s.API, 0)), Region: "us-east-1", HTTPClient: &http.Client{Transport: plainBodies{transport}},
		Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "any"}, nil
		}),
	})
}

func TestTheSDKForGoMakesChangesAndDeletesStreams(t *testing.T) {
	s := newServer(t, Config{Transition: 50 * time.Millisecond})
	c, ctx := s.sdkClient(), t.Context()
	name, arn := aws.String("orders"), aws.String(s.streamARN("orders"))
	describe := &sdk.DescribeStreamInput{StreamName: name}
	wait := func() {
		t.Helper()
		waiter := sdk.NewStreamExistsWaiter(c, func(o *sdk.StreamExistsWaiterOptions) {
			o.MinDelay, o.MaxDelay = 10*time.Millisecond, 20*time.Millisecond
		})
		if err := waiter.Wait(ctx, describe, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	check := func(operation string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", operation, err)
		}
	}

	_, err := c.UpdateAccountSettings(ctx, &sdk.UpdateAccountSettingsInput{MinimumThroughputBillingCommitment: &types.MinimumThroughputBillingCommitmentInput{
		Status: types.MinimumThroughputBillingCommitmentInputStatusEnabled}})
	check("UpdateAccountSettings", err)
	settings, err := c.DescribeAccountSettings(ctx, &sdk.DescribeAccountSettingsInput{})
	check("DescribeAccountSettings", err)
	if b := settings.MinimumThroughputBillingCommitment; b.Status != types.MinimumThroughputBillingCommitmentOutputStatusEnabled || time.Since(*b.StartedAt) > time.Minute {
		t.Errorf("settings: %+v", b)
	}

	create := &sdk.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(2), Tags: map[string]string{"a": "b"}, MaxRecordSizeInKiB: aws.Int32(2048)}
	_, err = c.CreateStream(ctx, create)
	check("CreateStream", err)
	var inUse *types.ResourceInUseException
	if _, err = c.CreateStream(ctx, create); !errors.As(err, &inUse) || inUse.ErrorMessage() != "Stream orders under account 123456789012 already exists." {
		t.Errorf("CreateStream of a name that is taken: %v", err)
	}
	wait()
	_, err = c.UpdateMaxRecordSize(ctx, &sdk.UpdateMaxRecordSizeInput{StreamARN: arn, MaxRecordSizeInKiB: aws.Int32(4096)})
	check("UpdateMaxRecordSize", err)
	if _, err = c.DeleteStream(ctx, &sdk.DeleteStreamInput{StreamARN: arn}); !errors.As(err, &inUse) {
		t.Errorf("DeleteStream in UPDATING: %v", err)
	}
	wait()
	_, err = c.UpdateStreamMode(ctx, &sdk.UpdateStreamModeInput{StreamARN: arn, StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}})
	check("UpdateStreamMode", err)
	wait()
	warm, err := c.UpdateStreamWarmThroughput(ctx, &sdk.UpdateStreamWarmThroughputInput{StreamARN: arn, WarmThroughputMiBps: aws.Int32(5)})
	check("UpdateStreamWarmThroughput", err)
	if *warm.WarmThroughput.CurrentMiBps != 5 || *warm.StreamARN != *arn {
		t.Errorf("warm throughput: %+v", warm)
	}
	wait()
	_, err = c.UpdateStreamRecordDistributionStrategy(ctx, &sdk.UpdateStreamRecordDistributionStrategyInput{StreamARN: arn, RecordDistributionStrategy: types.RecordDistributionStrategyAuto})
	check("UpdateStreamRecordDistributionStrategy", err)
	summary, err := c.DescribeStreamSummary(ctx, &sdk.DescribeStreamSummaryInput{StreamARN: arn})
	check("DescribeStreamSummary", err)
	if d := summary.StreamDescriptionSummary; *d.OpenShardCount != 5 || *d.MaxRecordSizeInKiB != 4096 || d.StreamModeDetails.StreamMode != types.StreamModeOnDemand ||
		d.RecordDistributionStrategy != types.RecordDistributionStrategyAuto || d.StreamStatus != types.StreamStatusActive || *d.RetentionPeriodHours != 24 ||
		time.Since(*d.StreamCreationTimestamp) > time.Minute || d.EncryptionType != types.EncryptionTypeNone {
		t.Errorf("summary: %+v", d)
	}
	limits, err := c.DescribeLimits(ctx, &sdk.DescribeLimitsInput{})
	check("DescribeLimits", err)
	if *limits.OnDemandStreamCount != 1 || *limits.ShardLimit != 20_000 || *limits.OpenShardCount != 0 {
		t.Errorf("limits: %+v", limits)
	}
	listed := 0
	for pages := sdk.NewListStreamsPaginator(c, &sdk.ListStreamsInput{Limit: aws.Int32(1)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		listed += len(page.StreamSummaries)
	}
	if listed != 1 {
		t.Errorf("%d streams are listed", listed)
	}
	_, err = c.DeleteStream(ctx, &sdk.DeleteStreamInput{StreamARN: arn})
	check("DeleteStream", err)
	waiter := sdk.NewStreamNotExistsWaiter(c, func(o *sdk.StreamNotExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 10*time.Millisecond, 20*time.Millisecond
	})
	check("the wait for the deletion", waiter.Wait(ctx, describe, 10*time.Second))
	var notFound *types.ResourceNotFoundException
	if _, err = c.DescribeStream(ctx, describe); !errors.As(err, &notFound) {
		t.Errorf("DescribeStream of a deleted stream: %v", err)
	}
}
