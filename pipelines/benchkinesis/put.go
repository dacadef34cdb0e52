package benchkinesis

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// The shapes of the figures, as the service's users have them: 500 records is the most of a request.
const (
	batch        = 500
	batchConns   = 8
	batchPool    = 8 // requests of a connection, which it sends in turn
	singleConns  = 64
	singlePool   = 16
	readConns    = 4
	subscribers  = 10
	putInterval  = 10 * time.Millisecond // between two records for the subscribers
	pause        = 10 * time.Millisecond // after an answer that says: slower
	firstSingle  = batchConns * batchPool * batch
	firstPublish = firstSingle + singleConns*singlePool
	lastRecord   = firstPublish + int(MaxTime/putInterval)
)

// program is a server that is measured.
type program struct {
	name   string
	at     *endpoint
	stop   func() // ends it, if the benchmark has started it
	said   *tail  // what it has printed then
	bare   bool   // it takes puts alone
	stream string
	shards []string

	acked []uint32 // of each record, how often it was acked; a record is of one connection
	mu    sync.Mutex
	named map[string]uint32 // records by shard and sequence number, of some acks
}

// sample is what one run of a figure has measured.
type sample struct {
	records   int64
	took      time.Duration
	latencies []time.Duration
	throttled int64 // records, or reads, that the server refused for their rate
}

// parallel runs work n times at once and returns the first error, which ends the others.
func parallel(ctx context.Context, n int, work func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := work(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (p *program) putRecords(ctx context.Context, d time.Duration) (sample, error) {
	return p.put(ctx, d, batchConns, batchPool, func(i int, now time.Time) prepared {
		return p.at.prepareRecords(p.stream, uint32(i*batch), batch, now)
	})
}

func (p *program) putRecord(ctx context.Context, d time.Duration) (sample, error) {
	return p.put(ctx, d, singleConns, singlePool, func(i int, now time.Time) prepared {
		return p.at.prepareRecord(p.stream, "", uint32(firstSingle+i), now)
	})
}

// put sends the requests that prepare makes, over conns connections, again and again for the time d. They are encoded and
// signed, and the connections are open, before the clock starts.
func (p *program) put(ctx context.Context, d time.Duration, conns, pool int, prepare func(i int, now time.Time) prepared) (sample, error) {
	requests, now := make([]prepared, conns*pool), time.Now()
	for i := range requests {
		requests[i] = prepare(i, now)
	}
	var total sample
	var began time.Time
	var ready sync.WaitGroup
	ready.Add(conns)
	start := make(chan struct{})
	go func() {
		ready.Wait()
		began = time.Now()
		close(start)
	}()
	err := parallel(ctx, conns, func(ctx context.Context, i int) error {
		c, err := p.at.dial(ctx)
		ready.Done()
		if err != nil {
			return err
		}
		defer c.close()
		<-start
		mine := sample{latencies: make([]time.Duration, 0, 1<<12)}
		for n := 0; time.Since(began) < d; n++ {
			request := requests[i*pool+n%pool]
			sent := time.Now()
			status, body, err := c.do(ctx, request.bytes)
			if err != nil {
				return err
			}
			mine.latencies = append(mine.latencies, time.Since(sent))
			acked, err := p.ack(request, status, body, n == 0)
			if err != nil {
				return err
			}
			mine.records += int64(acked)
			if acked < request.count {
				mine.throttled += int64(request.count - acked)
				time.Sleep(pause)
			}
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		total.records += mine.records
		total.throttled += mine.throttled
		total.latencies = append(total.latencies, mine.latencies...)
		return nil
	})
	total.took = time.Since(began)
	return total, err
}

var noneFailed = []byte(`"FailedRecordCount":0`)

// ack notes which records of a request were acked, and if named, under which sequence numbers. It returns how many; the
// others were throttled.
func (p *program) ack(request prepared, status int, body []byte, named bool) (acked int, err error) {
	operation := "PutRecords"
	if request.count == 1 {
		operation = "PutRecord"
	}
	if status != http.StatusOK {
		err := failed(operation, status, body)
		if isCode(err, "ProvisionedThroughputExceededException") || isCode(err, "LimitExceededException") {
			return 0, nil
		}
		return 0, err
	}
	if p.bare || !named && (request.count == 1 || bytes.Contains(body, noneFailed)) {
		for i := range request.count {
			p.acked[request.first+uint32(i)]++
		}
		return request.count, nil
	}
	n := request.first
	err = entries(body, func(e entry) error {
		switch {
		case n >= request.first+uint32(request.count):
			return fmt.Errorf("%s has answered more records than were sent", operation)
		case e.code == nil && len(e.sequence) > 0:
			acked++
			p.acked[n]++
			if named {
				p.note(e, n)
			}
		case string(e.code) != "ProvisionedThroughputExceededException":
			return fmt.Errorf("%s has refused a record: %q", operation, e.code)
		}
		n++
		return nil
	})
	if err == nil && n != request.first+uint32(request.count) {
		err = fmt.Errorf("%s has answered %d records, %d were sent", operation, n-request.first, request.count)
	}
	return acked, err
}

// note keeps the sequence number that a record was acked with.
func (p *program) note(e entry, n uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.named[string(e.shard)+" "+string(e.sequence)] = n
}

// publish puts one record at a time, and notes in acks when each was acked.
func (p *program) publish(ctx context.Context, acks []time.Time) error {
	c, err := p.at.dial(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	now := time.Now()
	requests := make([]prepared, len(acks))
	for i := range requests {
		requests[i] = p.at.prepareRecord(p.stream, "0", uint32(firstPublish+i), now)
	}
	tick := time.NewTicker(putInterval)
	defer tick.Stop()
	for i, request := range requests {
		status, body, err := c.do(ctx, request.bytes)
		if err != nil {
			return err
		}
		acks[i] = time.Now()
		acked, err := p.ack(request, status, body, true)
		if err == nil && acked == 0 {
			err = failed("PutRecord", status, body)
		}
		if err != nil {
			return err
		}
		<-tick.C
	}
	return nil
}
