package delivery

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/state"
)

// Keys of a delivery in core/state, below delivery/<pipeline>/<sink>/<incarnation>/:
//
//	start          JSON startRecord: where the delivery began; written once
//	shard/<id>     shardRecord: start, checkpoint and counts of a shard
//	object/<id>    JSON manifest of a sealed object
//	covers/<id>    the input positions of object <id>, or of a commit without an object
//	done/<id>      there if covers/<id> is committed
const keyRoot = "delivery/"

func keyPrefix(pipeline, sink, incarnation string) string {
	return keyRoot + pipeline + "/" + sink + "/" + incarnation + "/"
}

// Kinds of outcome that the ledger counts, and their order in a shardRecord.
const (
	kindDelivered = iota
	kindDropped
	kindDead
	kindExpired
	kindSkipped
	kinds
)

// manifest promises an object: from the moment it is durable, exactly these bytes go to exactly this key.
type manifest struct {
	ID string `json:"id"`
	// Dead says that the object goes to the dead letters, and that its inputs count as dead.
	Dead        bool        `json:"dead,omitempty"`
	Destination Destination `json:"destination"`
	Key         string      `json:"key"`
	Size        int64       `json:"size"`
	SHA256      []byte      `json:"sha256"`
	Records     int         `json:"records"`
	Raw         int64       `json:"raw"`
	ContentType string      `json:"content_type,omitempty"`
	Encoding    string      `json:"content_encoding,omitempty"`
	Sealed      time.Time   `json:"sealed"`
	Oldest      time.Time   `json:"oldest"` // arrival of the oldest record
	// Failed is the last error of an object that was given up and sent to the dead letters as it is.
	Failed string `json:"failed,omitempty"`

	covers *coverage
	epoch  uint64 // of the backlog, in which its commit was begun
}

// outcome is the manifest's end.
func (m *manifest) outcome(kind int) outcome {
	return outcome{kind: kind, object: m.ID, size: m.Size, covers: m.covers, epoch: m.epoch}
}

// startRecord says which positions a delivery is responsible for. Shards that are missing were opened later, and are
// delivered from their first record on.
type startRecord struct {
	Stream string                    `json:"stream"`
	At     time.Time                 `json:"at"`
	Shards map[record.ShardID]uint64 `json:"shards"`
}

// shardRecord is the durable ledger of one shard.
type shardRecord struct {
	start      uint64 // first position that the delivery is responsible for
	checkpoint uint64 // all positions before it are committed
	counts     [kinds]uint64
}

func (r *shardRecord) encode() []byte {
	p := binary.AppendUvarint(nil, r.start)
	p = binary.AppendUvarint(p, r.checkpoint)
	for _, n := range r.counts {
		p = binary.AppendUvarint(p, n)
	}
	return p
}

func (r *shardRecord) decode(p []byte) error {
	for _, field := range []*uint64{&r.start, &r.checkpoint, &r.counts[0], &r.counts[1], &r.counts[2], &r.counts[3], &r.counts[4]} {
		v, n := binary.Uvarint(p)
		if n <= 0 {
			return fmt.Errorf("shard ledger of %d bytes is cut short", len(p))
		}
		*field, p = v, p[n:]
	}
	if len(p) != 0 || r.checkpoint < r.start {
		return fmt.Errorf("shard ledger: checkpoint %d, start %d, %d bytes left over", r.checkpoint, r.start, len(p))
	}
	return nil
}

// durable is all that a delivery has in core/state.
type durable struct {
	start   *startRecord // nil: the delivery has never run
	shards  map[record.ShardID]*shardRecord
	pending map[string]*manifest // sealed, not committed
	done    map[string]*coverage // committed, not yet below the checkpoints
}

func load(store *state.Store, prefix string) (*durable, error) {
	d := &durable{
		shards: map[record.ShardID]*shardRecord{}, pending: map[string]*manifest{}, done: map[string]*coverage{},
	}
	covers := map[string]*coverage{}
	var bad error
	fail := func(key string, err error) bool {
		bad = fault.New(fault.Permanent, "delivery.bad_state", "delivery state: key %q: %w", key, err)
		return false
	}
	store.View(func(tx *state.Tx) {
		tx.Scan(prefix, func(key string, value []byte) bool {
			kind, id, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
			switch kind {
			case "start":
				d.start = &startRecord{}
				if err := json.Unmarshal(value, d.start); err != nil {
					return fail(key, err)
				}
			case "shard":
				n, err := strconv.ParseUint(id, 10, 32)
				if err != nil {
					return fail(key, err)
				}
				r := &shardRecord{}
				if err := r.decode(value); err != nil {
					return fail(key, err)
				}
				d.shards[record.ShardID(n)] = r
			case "object":
				m := &manifest{}
				if err := json.Unmarshal(value, m); err != nil {
					return fail(key, err)
				}
				d.pending[id] = m
			case "covers":
				c, err := decodeCoverage(value)
				if err != nil {
					return fail(key, err)
				}
				covers[id] = c
			case "done":
				d.done[id] = nil
			default:
				return fail(key, fmt.Errorf("unknown kind %q: written by a newer leat?", kind))
			}
			return true
		})
	})
	if bad != nil {
		return nil, bad
	}
	for id := range d.done {
		if d.done[id] = covers[id]; covers[id] == nil {
			return nil, fault.New(fault.Permanent, "delivery.bad_state", "delivery state: %s%s is committed and covers nothing", prefix, id)
		}
		delete(d.pending, id)
		delete(covers, id)
	}
	for id, m := range d.pending {
		if m.covers = covers[id]; m.covers == nil {
			return nil, fault.New(fault.Permanent, "delivery.bad_state", "delivery state: object %s%s covers nothing", prefix, id)
		}
		delete(covers, id)
	}
	for id := range covers {
		return nil, fault.New(fault.Permanent, "delivery.bad_state", "delivery state: positions %s%s belong to nothing", prefix, id)
	}
	return d, nil
}

func shardKey(prefix string, id record.ShardID) string {
	return prefix + "shard/" + strconv.FormatUint(uint64(id), 10)
}

// putManifest stores a sealed object.
func putManifest(tx *state.Tx, prefix string, m *manifest, covers []byte) error {
	p, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode manifest %s: %w", m.ID, err)
	}
	tx.Put(prefix+"object/"+m.ID, p)
	if covers != nil {
		tx.Put(prefix+"covers/"+m.ID, covers)
	}
	return nil
}
