package apis

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/stream"
)

func TestWrongOptionsNameTheFlag(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for flag, o := range map[string]Options{
		"--account":         {Account: "12345"},
		"--region":          {Region: "Frankfurt"},
		"--host":            {Hosts: []string{"good", "bad:4567"}},
		"--cors-origin":     {CORSOrigins: []string{"*", "https://good.example.com", "bad.example.com/"}},
		"--shard-quota":     {ShardQuota: -1},
		"--transition":      {Transition: -time.Second},
		"--tls-key":         {CertFile: "cert.pem"},
		"--tls-cert":        {KeyFile: "key.pem"},
		"--tls-self-signed": {CertFile: "cert.pem", KeyFile: "key.pem", SelfSigned: true},
		"--insecure":        {Addr: "0.0.0.0:0"},
		"--addr":            {Addr: "4567"},
		"with --addr":       {Addr: taken.Addr().String()},
		"with --tls-addr":   {Addr: "127.0.0.1:0", TLSAddr: taken.Addr().String(), SelfSigned: true},
	} {
		s, err := Listen(o)
		if err == nil {
			_ = s.Stop()
		}
		if hint := fault.HintOf(err); !strings.Contains(hint, flag) {
			t.Errorf("%+v: %v (%s), want a hint that names %s", o, err, hint, flag)
		}
	}
	for _, origin := range []string{"*", "https://console.example.com", "http://localhost:3000"} {
		if err := (&Options{CORSOrigins: []string{origin}}).check(); err != nil {
			t.Error(err)
		}
	}
	for _, region := range []string{"eu-central-1", "us-gov-west-1", "cn-northwest-1", "ap-southeast-12"} {
		if err := (&Options{Region: region}).check(); err != nil {
			t.Error(err)
		}
	}
}

func TestABadCertificateIsSaid(t *testing.T) {
	s, err := Listen(Options{TLSAddr: "127.0.0.1:0", CertFile: "nowhere.pem", KeyFile: "nowhere.key"})
	if fault.ClassOf(err) != fault.Permanent || !strings.Contains(err.Error(), "nowhere.pem") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err == nil {
		_ = s.Stop()
	}
}

// TestStreamsOfPipelinesAndOfTheAPIAreTheSame: there is one registry.
func TestStreamsOfPipelinesAndOfTheAPIAreTheSame(t *testing.T) {
	w := start(t, Options{Limits: true})
	c, ctx := w.client(false), t.Context()
	s, err := w.dir.Streams.Create(ctx, "piped", stream.Config{Shards: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, []stream.Entry{{Key: "k", ExplicitHashKey: "0", Data: []byte("fed")}}); err != nil {
		t.Fatal(err)
	}
	must(c.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("called"), ShardCount: aws.Int32(1)}))(t)
	if got := must(c.ListStreams(ctx, &kinesis.ListStreamsInput{}))(t).StreamNames; strings.Join(got, " ") != "called piped" {
		t.Errorf("the API has %v", got)
	}
	if got := w.dir.Streams.List(); strings.Join(got, " ") != "called piped" {
		t.Errorf("pipelines have %v", got)
	}
	l := &life{Client: c, t: t, stream: "piped", arn: aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/piped")}
	l.equal("what a pipeline has fed", l.read("shardId-000000000000"), []string{"fed"})

	// 4 MiB for one shard at once: more than the service takes.
	records := make([]types.PutRecordsRequestEntry, 4)
	for i := range records {
		records[i] = types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: make([]byte, 1<<20-1)}
	}
	for name, limited := range map[string]bool{"piped": false, "called": true} {
		failed := *must(c.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: &name, Records: records}))(t).FailedRecordCount
		if (failed > 0) != limited {
			t.Errorf("%s: %d records were throttled", name, failed)
		}
	}
	read := func(name string) (err error) {
		at := must(c.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: &name, ShardId: aws.String("0"), ShardIteratorType: types.ShardIteratorTypeLatest}))(t)
		for range 20 {
			_, e := c.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: at.ShardIterator})
			err = errors.Join(err, e)
		}
		return err
	}
	if err := read("piped"); err != nil {
		t.Errorf("reading a pipeline's stream: %v", err)
	}
	refused[*types.ProvisionedThroughputExceededException](l, "20 reads at once", read("called"))
}

func TestStopEndsSubscriptionsAndThenTheStreamsCanClose(t *testing.T) {
	w := start(t, Options{})
	c, ctx := w.client(false), t.Context()
	must(c.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(1)}))(t)
	arn := aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/s")
	consumer := must(c.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: arn, ConsumerName: aws.String("c")}))(t).Consumer
	live := must(c.SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{ConsumerARN: consumer.ConsumerARN, ShardId: aws.String("shardId-000000000000"),
		StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest}}))(t).GetStream()
	defer live.Close()
	began := time.Now()
	if err := w.Stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > stopGrace/2 {
		t.Errorf("stopping took %v", took)
	}
	for range live.Events() {
	}
	if err := live.Err(); err != nil {
		t.Errorf("the subscription ended with %v", err)
	}
	if _, err := c.ListStreams(ctx, &kinesis.ListStreamsInput{}); err == nil {
		t.Error("a server that has stopped answers")
	}
}

func TestHealthTellsThatTheAPIIsNotServed(t *testing.T) {
	w := start(t, Options{})
	if r := w.health.Check(); r.Checks["api"].Status != "ok" {
		t.Errorf("%+v", r)
	}
	_ = w.plain.Close() // as if the system took it away
	for end := time.Now().Add(time.Minute); w.health.Check().Status != "failing"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v", w.health.Check())
		}
	}
}

func TestNamesAreCheckedSoThatNoWebPageReachesTheAPI(t *testing.T) {
	w := start(t, Options{Hosts: []string{"Streams.Internal"}})
	for host, want := range map[string]int{
		"localhost:4567": 400, "127.0.0.1:4567": 400, "streams.internal:4567": 400, // no target, but an answer
		"evil.example.com": 403,
	} {
		r, err := http.NewRequest("POST", w.Endpoint(), strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", host, resp.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// page is leat's part of the metrics page.
func (w *world) page() string {
	rec := httptest.NewRecorder()
	w.metrics.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	return rec.Body.String()
}

func TestCallsAreCountedAsCloudWatchDoes(t *testing.T) {
	w := start(t, Options{Limits: true})
	c, ctx := w.client(false), t.Context()
	name, arn := aws.String("s"), aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/s")
	must(c.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(1)}))(t)
	must(c.EnableEnhancedMonitoring(ctx, &kinesis.EnableEnhancedMonitoringInput{StreamName: name, ShardLevelMetrics: []types.MetricsName{types.MetricsNameAll}}))(t)
	must(c.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: name, PartitionKey: aws.String("k"), Data: []byte("123456789")}))(t)
	records := []types.PutRecordsRequestEntry{{PartitionKey: aws.String("k"), Data: []byte("123")}}
	for range 3 {
		records = append(records, types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: make([]byte, 1<<20-1)})
	}
	failed := *must(c.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: name, Records: records}))(t).FailedRecordCount
	at := must(c.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: name, ShardId: aws.String("0"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon}))(t)
	must(c.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: at.ShardIterator, Limit: aws.Int32(1)}))(t)
	refusals := 0
	for range 20 {
		if _, err := c.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: at.ShardIterator, Limit: aws.Int32(1)}); err != nil {
			refusals++
		}
	}
	consumer := must(c.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: arn, ConsumerName: aws.String("reader")}))(t).Consumer
	subscribe := &kinesis.SubscribeToShardInput{ConsumerARN: consumer.ConsumerARN, ShardId: aws.String("shardId-000000000000"),
		StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}}
	live := must(c.SubscribeToShard(ctx, subscribe))(t).GetStream()
	<-live.Events()
	if _, err := c.SubscribeToShard(ctx, subscribe); err == nil {
		t.Error("two subscriptions of one consumer")
	}
	_ = live.Close()

	stored, reads := 1+len(records)-int(failed), 21-refusals
	const shard = `{shard="shardId-000000000000",stream="s"}`
	w.has(
		`leat_put_record_success_total{stream="s"} 1`, `leat_put_record_bytes_total{stream="s"} 10`,
		`leat_put_record_latency_seconds_count{stream="s"} 1`,
		`leat_put_records_success_total{stream="s"} 1`, `leat_put_records_total_records_total{stream="s"} 4`,
		fmt.Sprintf(`leat_put_records_successful_records_total{stream="s"} %d`, stored-1),
		fmt.Sprintf(`leat_put_records_throttled_records_total{stream="s"} %d`, failed),
		fmt.Sprintf(`leat_write_provisioned_throughput_exceeded_total{stream="s"} %d`, failed),
		fmt.Sprintf(`leat_incoming_records_total{stream="s"} %d`, stored),
		fmt.Sprintf(`leat_get_records_success_total{stream="s"} %d`, reads),
		fmt.Sprintf(`leat_get_records_bytes_total{reader="get_records",stream="s"} %d`, 10*reads),
		fmt.Sprintf(`leat_read_provisioned_throughput_exceeded_total{stream="s"} %d`, refusals),
		`leat_subscribe_to_shard_success_total{consumer="reader",stream="s"} 1`,
		`leat_subscribe_to_shard_rate_exceeded_total{consumer="reader",stream="s"} 1`,
		`leat_api_requests_total{api="kinesis",code="OK",operation="PutRecords"} 1`,
		fmt.Sprintf(`leat_api_requests_total{api="kinesis",code="ProvisionedThroughputExceededException",operation="GetRecords"} %d`, refusals),
		fmt.Sprintf(`leat_shard_incoming_records_total%s %d`, shard, stored),
		fmt.Sprintf(`leat_shard_write_provisioned_throughput_exceeded_total%s %d`, shard, failed),
		fmt.Sprintf(`leat_shard_read_provisioned_throughput_exceeded_total%s %d`, shard, refusals))
	if page := w.page(); !regexp.MustCompile(`leat_get_records_iterator_age_milliseconds\{stream="s"\} [1-9]`).MatchString(page) {
		t.Error("a reader that is behind has no age")
	}

	must(c.DeregisterStreamConsumer(ctx, &kinesis.DeregisterStreamConsumerInput{ConsumerARN: consumer.ConsumerARN}))(t)
	if strings.Contains(w.page(), "reader\"}") || strings.Contains(w.page(), `consumer="reader"`) {
		t.Error("the series of a consumer outlive it")
	}
	must(c.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: name}))(t)
	if strings.Contains(w.page(), `stream="s"`) {
		t.Errorf("series of a stream outlive it:\n%s", w.page())
	}
}

// has waits for lines of the metrics page: some are counted when the answer is out.
func (w *world) has(lines ...string) {
	w.t.Helper()
	end := time.Now().Add(time.Minute)
	for _, line := range lines {
		for !strings.Contains(w.page(), line+"\n") {
			if time.Now().After(end) {
				w.t.Errorf("no line %s in:\n%s", line, w.page())
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}
