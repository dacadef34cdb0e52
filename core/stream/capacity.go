package stream

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
)

const (
	// sampleEvery is how far apart in time the samples of a shard's hash keys are at least: frequent enough to know a
	// busy shard within seconds, and rare enough to cost puts nothing.
	sampleEvery = 250 * time.Millisecond
	// sampleSize is how many hash keys a shard's sample has at most; newer ones replace the oldest.
	sampleSize = 32
)

// ShardLoad is what an open shard of an on-demand stream took in since it was opened, or since the stream was opened or
// became an on-demand one if that is later.
type ShardLoad struct {
	ID      record.ShardID
	Hash    HashRange
	Parents []record.ShardID
	// Bytes of keys and data, and records, that were stored.
	Bytes, Records uint64
	// Refused is how many records the write limit turned away.
	Refused uint64
	// Sample are hash keys of records that were stored lately, at most 32 and in no order.
	Sample []HashKey
}

// Loads returns the load of each open shard in the order of their hash ranges. Streams of the provisioned mode are not
// metered: for them it returns nothing.
func (s *Stream) Loads() []ShardLoad {
	t := s.table.Load()
	var loads []ShardLoad
	for _, o := range t.open {
		if m := t.meters[o.id]; m != nil {
			load := ShardLoad{ID: o.id, Hash: t.shards[o.id].hash, Parents: t.shards[o.id].parents}
			m.read(&load)
			loads = append(loads, load)
		}
	}
	return loads
}

// meter gives each open shard a meter; those of shards that old knows too go on.
func (t *table) meter(old *table) {
	t.meters = make(map[record.ShardID]*meter, len(t.open))
	for _, o := range t.open {
		m := &meter{}
		if old != nil && old.meters[o.id] != nil {
			m = old.meters[o.id]
		}
		t.meters[o.id] = m
	}
}

// meter counts the runs that were stored. It is called between group and settle.
func (p *plan) meter(t *table, now func() time.Duration, stored []shardlog.RunResult, entries []Entry) {
	if t.meters == nil {
		return
	}
	at := 0
	for r := range p.runs {
		run := p.entry[at : at+len(p.runs[r].Entries)]
		at += len(run)
		if stored[r].Err == nil {
			t.meters[p.runs[r].Shard].stored(now(), entries, run)
		}
	}
}

// meter counts what one shard takes in. A nil meter counts nothing.
type meter struct {
	bytes, records, refused atomic.Uint64
	sampled                 atomic.Int64 // when the newest sample was taken, in nanoseconds of the stream's monotonic clock

	mu     sync.Mutex
	sample [sampleSize]HashKey
	taken  int // samples ever taken; the next one goes to this place modulo sampleSize
}

// stored counts the entries of a run, by their indexes, and takes one of them into the sample now and then. A run is
// never empty.
func (m *meter) stored(now time.Duration, entries []Entry, run []int32) {
	if m == nil {
		return
	}
	bytes := 0
	for _, i := range run {
		bytes += len(entries[i].Key) + len(entries[i].Data)
	}
	m.bytes.Add(uint64(bytes))
	records := m.records.Add(uint64(len(run)))
	if last := m.sampled.Load(); last != 0 && int64(now)-last < int64(sampleEvery) || !m.sampled.CompareAndSwap(last, int64(now)) {
		return
	}
	// Producers may sort their batches: any place of the run is as likely.
	e := &entries[run[(records*0x9e3779b97f4a7c15>>32)%uint64(len(run))]]
	k, explicit := HashKey{}, false
	if e.ExplicitHashKey != "" {
		k, explicit = parseHashKey(e.ExplicitHashKey)
	}
	switch {
	case explicit:
	case e.Key == "": // spread over the shards: any place of the hash space is as likely
		k = HashKey{Hi: records * 0x9e3779b97f4a7c15}
	default:
		k = HashOf(e.Key)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sample[m.taken%sampleSize] = k
	m.taken++
}

// refuse counts a record that the write limit turned away.
func (m *meter) refuse() {
	if m != nil {
		m.refused.Add(1)
	}
}

func (m *meter) read(into *ShardLoad) {
	into.Bytes, into.Records, into.Refused = m.bytes.Load(), m.records.Load(), m.refused.Load()
	m.mu.Lock()
	defer m.mu.Unlock()
	into.Sample = append(into.Sample, m.sample[:min(m.taken, sampleSize)]...)
}
