package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/rogpeppe/go-internal/testscript"
)

// askKinesis ENDPOINT STREAM DATA [CA] makes a stream with the SDK for Go unless it is there, puts a record, and reads it
// again. CA is a file with the authority to trust. With - for DATA it deletes the stream, or sees that there is none.
func askKinesis(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: kinesis ENDPOINT STREAM DATA [CA], or kinesis ENDPOINT STREAM - delete|none")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	if len(args) == 4 && args[2] != "-" {
		pem, err := os.ReadFile(ts.MkAbs(args[3]))
		ts.Check(err)
		transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem)
	}
	c := kinesis.New(kinesis.Options{
		BaseEndpoint: &args[0], Region: "us-east-1", HTTPClient: &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "any", SecretAccessKey: "any"}, nil
		}),
	})
	for { // the server may have yet to listen
		_, err := c.ListStreams(ctx, &kinesis.ListStreamsInput{})
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			ts.Check(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if args[2] == "-" {
		if args[3] == "delete" {
			_, err := c.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: &args[1]})
			ts.Check(err)
		}
		_, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &args[1]})
		if err == nil || !strings.Contains(err.Error(), "ResourceNotFoundException") {
			ts.Fatalf("the stream is there: %v", err)
		}
		return
	}
	_, err := c.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &args[1], ShardCount: aws.Int32(1)})
	if err != nil && !strings.Contains(err.Error(), "ResourceInUseException") {
		ts.Check(err)
	}
	_, err = c.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: &args[1], PartitionKey: aws.String("k"), Data: []byte(args[2])})
	ts.Check(err)
	it, err := c.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: &args[1], ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	ts.Check(err)
	out, err := c.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
	ts.Check(err)
	if n := len(out.Records); n == 0 || string(out.Records[n-1].Data) != args[2] {
		ts.Fatalf("%d records, and the last one is not %q", n, args[2])
	}
}
