package kinesis

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
	"github.com/leatstream/leat/core/wire/wiretest"
)

// diskServer is an API on the real file system behind a port, with one stream, "birds", of one shard.
func diskServer(b *testing.B) (*stream.Stream, *API, string) {
	st, err := state.Open(vfs.OS(), b.TempDir(), state.Options{})
	if err != nil {
		b.Fatal(err)
	}
	streams, err := stream.Open(vfs.OS(), b.TempDir(), st, stream.Options{})
	if err != nil {
		b.Fatal(err)
	}
	api, err := New(Config{Streams: streams, State: st})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(api.Close(), streams.Close(), st.Close()); err != nil {
			b.Error(err)
		}
	})
	s, err := streams.Create(context.Background(), "birds", stream.Config{})
	if err != nil {
		b.Fatal(err)
	}
	return s, api, listen(b, api, 0)
}

// tail subscribes n consumers to the stream's shard and hands each message of the event streams to got, with the number of
// the consumer, in goroutines that stop ends. It returns once all of them have got their first event.
func tail(b *testing.B, api *API, addr string, n int, from string, got func(consumer int, message []byte)) (stop func()) {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	done := make(chan error, n)
	first := make(chan error, n)
	var bodies []io.Closer
	var consumers []string
	for i := range n {
		name := fmt.Sprintf("c%d", i)
		streamARN := api.streamARN("birds")
		out, err := api.registerStreamConsumer(context.Background(), &RegisterStreamConsumerInput{StreamARN: &streamARN, ConsumerName: &name})
		if err != nil {
			b.Fatal(err)
		}
		body := fmt.Sprintf(`{"ConsumerARN":%q,"ShardId":"shardId-000000000000","StartingPosition":{"Type":%q}}`, out.Consumer.ConsumerARN, from)
		r, err := http.NewRequest(http.MethodPost, "http://"+addr, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", Target+".SubscribeToShard")
		wiretest.Sign(r)
		answer, err := (&http.Client{Transport: &http.Transport{Protocols: &protocols}}).Do(r)
		if err != nil || answer.StatusCode != http.StatusOK {
			b.Fatal(err, answer)
		}
		bodies, consumers = append(bodies, answer.Body), append(consumers, out.Consumer.ConsumerARN)
		go func() {
			var buf []byte
			for messages := 0; ; messages++ {
				var length [4]byte
				if _, err := io.ReadFull(answer.Body, length[:]); err != nil {
					done <- err
					return
				}
				buf = slices.Grow(buf[:0], int(binary.BigEndian.Uint32(length[:])))[:binary.BigEndian.Uint32(length[:])-4]
				if _, err := io.ReadFull(answer.Body, buf); err != nil {
					done <- err
					return
				}
				if messages == 1 { // after the initial response
					first <- nil
				}
				got(i, buf)
			}
		}()
	}
	for range n {
		<-first
	}
	return func() {
		for _, body := range bodies {
			body.Close()
		}
		for range n {
			<-done
		}
		for _, arn := range consumers {
			if _, err := api.deregisterStreamConsumer(context.Background(), &DeregisterStreamConsumerInput{ConsumerARN: &arn}); err != nil {
				b.Error(err)
			}
		}
	}
}

// BenchmarkLatency puts durable records of 1 KiB at a steady pace and reports how long after their acks they are at ten
// subscribers of the shard, each on an HTTP/2 connection of its own. A record that arrives before its ack counts as 0.
func BenchmarkLatency(b *testing.B) {
	for _, subscribers := range []int{1, 10} {
		for _, pace := range []time.Duration{10 * time.Millisecond, time.Millisecond} {
			b.Run(fmt.Sprintf("subscribers=%d/every=%v", subscribers, pace), func(b *testing.B) {
				s, api, addr := diskServer(b)
				arrived := make([][]time.Time, subscribers)
				stop := tail(b, api, addr, subscribers, "LATEST", func(c int, message []byte) {
					now := time.Now()
					for range bytes.Count(message, []byte(`"Data":`)) {
						arrived[c] = append(arrived[c], now)
					}
				})
				acked := make([]time.Time, 0, b.N)
				entry := []stream.Entry{{Key: "k", Data: make([]byte, 1024)}}
				for b.Loop() {
					if _, err := s.Put(context.Background(), entry); err != nil {
						b.Fatal(err)
					}
					acked = append(acked, time.Now())
					time.Sleep(pace)
				}
				time.Sleep(100 * time.Millisecond)
				stop()
				var all []time.Duration
				for _, times := range arrived {
					if len(times) != len(acked) {
						b.Fatalf("a subscriber got %d records of %d", len(times), len(acked))
					}
					for i, at := range times {
						all = append(all, max(0, at.Sub(acked[i])))
					}
				}
				slices.Sort(all)
				b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
				b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
			})
		}
	}
}

// BenchmarkBacklog reads 16 MiB of records of 1 KiB, which are in page cache, by subscription. Bytes are those that the
// subscribers get in all.
func BenchmarkBacklog(b *testing.B) {
	for _, subscribers := range []int{1, 10} {
		b.Run(fmt.Sprintf("subscribers=%d", subscribers), func(b *testing.B) {
			const records = 16 << 10
			s, api, addr := diskServer(b)
			entries := make([]stream.Entry, 512)
			for i := range entries {
				entries[i] = stream.Entry{Key: "k", Data: make([]byte, 1024)}
			}
			for range records / len(entries) {
				if _, err := s.Put(context.Background(), entries); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(subscribers) * records * 1024)
			b.ReportAllocs()
			for b.Loop() {
				complete := make(chan int, subscribers)
				counts := make([]int, subscribers)
				stop := tail(b, api, addr, subscribers, "TRIM_HORIZON", func(c int, message []byte) {
					if counts[c] += bytes.Count(message, []byte(`"Data":`)); counts[c] == records {
						complete <- c
						counts[c]++
					}
				})
				for range subscribers {
					<-complete
				}
				stop()
			}
		})
	}
}
