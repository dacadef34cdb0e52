package delivery

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/shardlog"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/vfs"
)

// ID names a delivery in durable state.
type ID struct {
	Pipeline    string `json:"pipeline"`
	Sink        string `json:"sink"`
	Incarnation string `json:"incarnation"` // of the stream
}

// List returns the deliveries of a pipeline that have durable state, whether or not they are still configured.
func List(store *state.Store, pipeline string) []ID {
	var ids []ID
	prefix := keyRoot + pipeline + "/"
	store.View(func(tx *state.Tx) {
		tx.Scan(prefix, func(key string, _ []byte) bool {
			parts := strings.Split(strings.TrimPrefix(key, prefix), "/")
			if len(parts) >= 3 {
				id := ID{Pipeline: pipeline, Sink: parts[0], Incarnation: parts[1]}
				if !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
			return true
		})
	})
	return ids
}

// Pipelines returns those that have durable state of a stream, whether or not they are still configured.
func Pipelines(store *state.Store, incarnation string) []string {
	var names []string
	store.View(func(tx *state.Tx) {
		tx.Scan(keyRoot, func(key string, _ []byte) bool {
			parts := strings.Split(strings.TrimPrefix(key, keyRoot), "/")
			if len(parts) >= 4 && parts[2] == incarnation && !slices.Contains(names, parts[0]) {
				names = append(names, parts[0])
			}
			return true
		})
	})
	return names
}

// Object is a sealed object that is not committed.
type Object struct {
	ID          string      `json:"id"`
	Key         string      `json:"key"`
	Destination Destination `json:"destination"`
	Size        int64       `json:"size"`
	Records     int         `json:"records"`
	Inputs      int64       `json:"inputs"`
	Dead        bool        `json:"dead,omitempty"`
}

// Report is what durable state says about a delivery.
type Report struct {
	ID
	Stream string        `json:"stream"`
	Shards []ShardLedger `json:"shards"`
	Total  Counts        `json:"total"`
	// Unsent lists the objects that the next run puts.
	Unsent []Object `json:"unsent"`
	// Problems says what does not hold; a report without problems is a proof that nothing is lost or counted twice.
	Problems []string `json:"problems"`
}

// Audit proves the ledger of a delivery from durable state alone: the counts against the positions that the log holds, the
// promised objects against each other and against the spool. shards is the state of the stream's log. spool may be empty:
// then the spool files are not read.
func Audit(store *state.Store, id ID, shards []shardlog.ShardState, fsys vfs.FS, spoolDir string) (*Report, error) {
	have, err := load(store, keyPrefix(id.Pipeline, id.Sink, id.Incarnation))
	if err != nil {
		return nil, err
	}
	r := &Report{ID: id, Unsent: []Object{}, Problems: []string{}}
	if have.start == nil {
		return r, nil
	}
	r.Stream = have.start.Stream
	t := newTracker(keyPrefix(id.Pipeline, id.Sink, id.Incarnation), have)
	r.Shards = t.ledger(shards)
	slices.SortFunc(r.Shards, func(a, b ShardLedger) int { return int(a.Shard) - int(b.Shard) })
	for _, l := range r.Shards {
		r.Total.Add(l.Counts)
		if !l.Holds() {
			r.problem("%s: in %d is not delivered %d + dropped %d + dead %d + pending %d + expired %d + skipped %d",
				l.Shard, l.In, l.Delivered, l.Dropped, l.Dead, l.Pending, l.Expired, l.Skipped)
		}
	}
	for _, lost := range t.behind(have.pending, shards) {
		r.problem("the log is behind: %s", lost)
	}
	promised := &coverage{}
	for _, m := range have.pending {
		r.Unsent = append(r.Unsent, Object{
			ID: m.ID, Key: m.Key, Destination: m.Destination, Size: m.Size, Records: m.Records, Inputs: m.covers.len(), Dead: m.Dead,
		})
		r.checkPromise(t, m, promised)
		promised.merge(m.covers)
		if spoolDir == "" {
			continue
		}
		if err := checkSpool(&spool{fs: fsys, dir: spoolDir}, m); err != nil {
			r.problem("object %s: %v", m.Key, err)
		}
	}
	slices.SortFunc(r.Unsent, func(a, b Object) int { return strings.Compare(a.ID, b.ID) })
	return r, nil
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// checkPromise finds positions of a manifest that are committed already or promised by another one.
func (r *Report) checkPromise(t *tracker, m *manifest, promised *coverage) {
	for shard, bits := range m.covers.shards {
		s := t.shard(shard)
		if n := bits.AndCardinality(s.done); n > 0 || bits.Minimum() < s.checkpoint {
			r.problem("object %s: positions of %s from %d on are committed already", m.Key, shard, bits.Minimum())
		}
		if other := promised.shards[shard]; other != nil && bits.Intersects(other) {
			r.problem("object %s: positions of %s are promised by another object too", m.Key, record.ShardID(shard))
		}
	}
}

func checkSpool(s *spool, m *manifest) error {
	body, err := s.body(m)
	if err != nil {
		return err
	}
	defer body.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, body); err != nil {
		return fmt.Errorf("read spool file: %w", err)
	}
	if !bytes.Equal(sum.Sum(nil), m.SHA256) {
		return fmt.Errorf("the spool file's SHA-256 is not the manifest's")
	}
	return nil
}
