package benchkinesis

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// reader reads shards one after the other over a connection.
type reader struct {
	c         *conn
	iterators []string // at the beginning of each shard
}

// readers opens connections and shares the stream's shards among them.
func (p *program) readers(ctx context.Context, conns int) (_ []*reader, end func(), err error) {
	var all []*reader
	end = func() {
		for _, r := range all {
			r.c.close()
		}
	}
	for range min(conns, len(p.shards)) {
		c, err := p.at.dial(ctx)
		if err != nil {
			end()
			return nil, nil, err
		}
		all = append(all, &reader{c: c})
	}
	for i, shard := range p.shards {
		r := all[i%len(all)]
		var out struct{ ShardIterator string }
		in := map[string]any{"StreamName": p.stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
		if err := r.c.call(ctx, "GetShardIterator", in, &out); err != nil {
			end()
			return nil, nil, err
		}
		r.iterators = append(r.iterators, out.ShardIterator)
	}
	return all, end, nil
}

// next reads from an iterator. The body is valid until the next request. Throttled reads are waited for, and counted.
func (r *reader) next(ctx context.Context, iterator string, throttled *int64) (body []byte, err error) {
	for {
		// An iterator is known when the answer before it is: this signature is made while the clock runs, in a few µs a read.
		request := r.c.to.request("GetRecords", fmt.Appendf(nil, `{"ShardIterator":%q}`, iterator), time.Now())
		status, body, err := r.c.do(ctx, request)
		if err != nil {
			return nil, err
		}
		if status == http.StatusOK {
			return body, nil
		}
		if err := failed("GetRecords", status, body); !isCode(err, "ProvisionedThroughputExceededException") {
			return nil, err
		}
		*throttled++
		time.Sleep(pause)
	}
}

// follow returns the iterator after an answer; empty at the tip of the shard.
func follow(body []byte, records int) string {
	if records == 0 && bytes.Contains(body, []byte(`"MillisBehindLatest":0`)) {
		return ""
	}
	_, rest, _ := bytes.Cut(edges(body), []byte(`"NextShardIterator":"`))
	iterator, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(iterator)
}

// edges is the beginning and the end of an answer of GetRecords, where what is not a record stands.
func edges(body []byte) []byte {
	const each = 2 << 10
	if len(body) <= 2*each {
		return body
	}
	return append(body[:each:each], body[len(body)-each:]...)
}

// getRecords reads all shards from their beginning, again and again for the time d, over a few connections. Answers are
// taken from the network and their records counted; they are decoded and compared when the round is verified.
func (p *program) getRecords(ctx context.Context, d time.Duration) (sample, error) {
	readers, end, err := p.readers(ctx, readConns)
	if err != nil {
		return sample{}, err
	}
	defer end()
	var total sample
	var mu sync.Mutex
	began := time.Now()
	err = parallel(ctx, len(readers), func(ctx context.Context, i int) error {
		var mine sample
		for n := 0; time.Since(began) < d; n++ {
			r := readers[i]
			for iterator := r.iterators[n%len(r.iterators)]; iterator != "" && time.Since(began) < d; {
				sent := time.Now()
				body, err := r.next(ctx, iterator, &mine.throttled)
				if err != nil {
					return err
				}
				mine.latencies = append(mine.latencies, time.Since(sent))
				records := bytes.Count(body, []byte(`"SequenceNumber"`))
				mine.records += int64(records)
				iterator = follow(body, records)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		total.records += mine.records
		total.throttled += mine.throttled
		total.latencies = append(total.latencies, mine.latencies...)
		return nil
	})
	total.took = time.Since(began)
	return total, err
}

// verify reads everything back: every record must be there as often as it was acked, whole, with its partition key, under
// the sequence number of its ack where that was noted, and in the order of these numbers.
func (p *program) verify(ctx context.Context) error {
	readers, end, err := p.readers(ctx, readConns)
	if err != nil {
		return err
	}
	defer end()
	found := make([]atomic.Uint32, len(p.acked))
	var seen atomic.Int64 // of the named
	err = parallel(ctx, len(readers), func(ctx context.Context, i int) error {
		r := readers[i]
		var throttled int64
		var data, last []byte
		scratch := make([]byte, 0, recordSize)
		for n, iterator := range r.iterators {
			shard := p.shards[i+n*len(readers)] // as they were dealt
			for last = last[:0]; iterator != ""; {
				body, err := r.next(ctx, iterator, &throttled)
				if err != nil {
					return err
				}
				records := 0
				err = entries(body, func(e entry) error {
					records++
					if !follows(e.sequence, last) {
						return fmt.Errorf("shard %s: sequence number %s comes after %s", shard, e.sequence, last)
					}
					last = append(last[:0], e.sequence...)
					var err error
					if data, err = e.appendData(data[:0]); err != nil {
						return fmt.Errorf("shard %s: the data of %s is not base64: %w", shard, e.sequence, err)
					}
					n, err := checkRecord(data, e.key, scratch)
					if err != nil {
						return fmt.Errorf("shard %s: %s is %w", shard, e.sequence, err)
					}
					if int(n) >= len(found) {
						return fmt.Errorf("shard %s: %s is record %d, which was not put", shard, e.sequence, n)
					}
					found[n].Add(1)
					want, ok := p.named[shard+" "+string(e.sequence)]
					if ok && want != n {
						return fmt.Errorf("shard %s: %s was acked as that of record %d and is record %d", shard, e.sequence, want, n)
					}
					if ok {
						seen.Add(1)
					}
					return nil
				})
				if err != nil {
					return err
				}
				iterator = follow(body, records)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for n, acked := range p.acked {
		if got := found[n].Load(); got != acked {
			return fmt.Errorf("record %d was acked %d times and is there %d times", n, acked, got)
		}
	}
	if int(seen.Load()) != len(p.named) {
		return fmt.Errorf("%d of %d sequence numbers of acks are in none of their shards", len(p.named)-int(seen.Load()), len(p.named))
	}
	return nil
}

// follows reports whether the decimal number a is greater than b; b may be empty.
func follows(a, b []byte) bool {
	return len(a) > len(b) || len(a) == len(b) && bytes.Compare(a, b) > 0
}
