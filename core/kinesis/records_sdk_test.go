package kinesis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatstream/leat/core/wire"
	"github.com/leatstream/leat/internal/testenv"
)

// plainBodies keeps a race of the SDK for Go out of the tests, which fast servers lose for it: when the header of an answer
// has come, the SDK closes the request's body; if net/http has not looked for the body's end yet, it gets io.EOF as an error
// (safeWriteToReadCloser.WriteTo of smithy-go) and closes the connection before the answer has been read. Retries hide it from
// users. Without WriteTo net/http uses Read, for which io.EOF is the end.
type plainBodies struct{ http.RoundTripper }

func (p plainBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r = r.Clone(r.Context())
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return p.RoundTripper.RoundTrip(r)
}

// Producers put through the SDK, with the retries of records that shards refuse, while shards split and merge. A reader that
// follows the children gets all that was acked, once and in each key's order, with its own bytes: requests share memory.
func TestTheSDKForGoPutsAndReadsThroughReshards(t *testing.T) {
	const producers = 6
	s := newServer(t, Config{Limits: true})
	s.create("s", 2)
	c, ctx, name := s.sdkClient(), t.Context(), aws.String("s")
	rounds := testenv.Count(15, 150)
	var throttled int
	var mu sync.Mutex
	acked := map[string][]string{}
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(p), 0))
			key := fmt.Sprintf("producer %d", p)
			for round := range rounds {
				var data []string
				entries := make([]types.PutRecordsRequestEntry, 1+rng.IntN(100))
				for i := range entries {
					data = append(data, fmt.Sprintf("%s %d/%d %s", key, round, i, strings.Repeat(string(rune('a'+p)), rng.IntN(3000))))
					entries[i] = types.PutRecordsRequestEntry{PartitionKey: &key, Data: []byte(data[i])}
				}
				for len(entries) > 0 {
					out, err := c.PutRecords(ctx, &sdk.PutRecordsInput{StreamName: name, Records: entries})
					if err != nil {
						t.Error(err)
						return
					}
					var again []types.PutRecordsRequestEntry
					var left []string
					mu.Lock()
					for i := range out.Records {
						if out.Records[i].ErrorCode == nil {
							acked[key] = append(acked[key], data[i])
						} else {
							again, left = append(again, entries[i]), append(left, data[i])
						}
					}
					throttled += len(again)
					if int(*out.FailedRecordCount) != len(again) {
						t.Errorf("FailedRecordCount is %d, want %d", *out.FailedRecordCount, len(again))
					}
					mu.Unlock()
					if entries, data = again, left; len(entries) > 0 {
						time.Sleep(50 * time.Millisecond)
					}
				}
			}
		})
	}
	k := s.mustKnow("s")
	put := make(chan struct{})
	go func() {
		wg.Wait()
		close(put)
	}()
	reshards := 0
	for putting := true; putting; {
		if err := k.UpdateShardCount(ctx, 1+rand.IntN(6)); err != nil {
			t.Fatal(err)
		}
		reshards++
		select {
		case <-put:
			putting = false
		case <-time.After(40 * time.Millisecond):
		}
	}
	t.Logf("%d records were refused and put again, %d reshards", throttled, reshards)

	got := map[string][]string{}
	shards, err := c.ListShards(ctx, &sdk.ListShardsInput{StreamName: name})
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, sh := range shards.Shards {
		if sh.ParentShardId == nil {
			open = append(open, *sh.ShardId)
		}
	}
	offered := map[string]int{}
	for ; len(open) > 0; open = open[1:] {
		it, err := c.GetShardIterator(ctx, &sdk.GetShardIteratorInput{StreamName: name, ShardId: &open[0], ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		if err != nil {
			t.Fatal(err)
		}
		for next := it.ShardIterator; next != nil; {
			out, err := c.GetRecords(ctx, &sdk.GetRecordsInput{ShardIterator: next})
			var tooOften *types.ProvisionedThroughputExceededException
			if errors.As(err, &tooOften) {
				time.Sleep(100 * time.Millisecond)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range out.Records {
				if time.Since(*r.ApproximateArrivalTimestamp).Abs() > time.Hour {
					t.Fatalf("a record arrived at %v", r.ApproximateArrivalTimestamp)
				}
				got[*r.PartitionKey] = append(got[*r.PartitionKey], string(r.Data))
			}
			for _, child := range out.ChildShards {
				if offered[*child.ShardId]++; offered[*child.ShardId] == len(child.ParentShards) {
					open = append(open, *child.ShardId)
				}
			}
			if next = out.NextShardIterator; len(out.Records) == 0 && *out.MillisBehindLatest == 0 {
				break
			}
		}
	}
	if len(acked) != producers {
		t.Errorf("records of %d producers", len(acked))
	}
	for key, want := range acked {
		if !slices.Equal(got[key], want) {
			t.Errorf("%s: %d records read, %d acked, or in another order", key, len(got[key]), len(want))
		}
	}
}

// Clients in Java speak CBOR.
func TestRecordsTravelInCBOR(t *testing.T) {
	s := newServer(t, Config{})
	s.create("s", 1)
	url := "http://" + listen(s.t, s.API, 0)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	call := func(operation string, body []byte, out any) {
		t.Helper()
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-amz-cbor-1.1")
		r.Header.Set("X-Amz-Target", Target+"."+operation)
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20261122/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0")
		r.Header.Set("X-Amz-Date", "20261122T000000Z")
		answer, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		got, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "application/x-amz-cbor-1.1" {
			t.Fatalf("%s: status %d, %q, %v", operation, answer.StatusCode, got, err)
		}
		if err := wire.Unmarshal(wire.CBOR, got, out); err != nil {
			t.Fatalf("%s: %v in %q", operation, err, got)
		}
	}
	entry := map[string]any{"Data": []byte{0, 1, 0xff}, "PartitionKey": "k"}
	var put PutRecordsOutput
	call("PutRecords", cborOf(t, map[string]any{"StreamName": "s", "Records": []any{entry, entry}}, true), &put)
	var one PutRecordOutput
	call("PutRecord", cborOf(t, map[string]any{"StreamName": "s", "Data": []byte("x"), "PartitionKey": "l"}, true), &one)
	var it GetShardIteratorOutput
	call("GetShardIterator", cborOf(t, map[string]any{"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}, true), &it)
	var got GetRecordsOutput
	call("GetRecords", cborOf(t, map[string]any{"ShardIterator": it.ShardIterator}, true), &got)
	if len(got.Records) != 3 || !bytes.Equal(got.Records[1].Data, []byte{0, 1, 0xff}) || got.Records[1].SequenceNumber != put.Records[1].SequenceNumber ||
		got.Records[2].SequenceNumber != one.SequenceNumber || time.Since(got.Records[0].ApproximateArrivalTimestamp.Time).Abs() > time.Minute {
		t.Errorf("%+v", got)
	}
}
