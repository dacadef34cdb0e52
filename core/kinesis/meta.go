package kinesis

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/state"
)

// metaPrefix precedes the incarnations of streams in the state store.
const metaPrefix = "kinesis/stream/"

// meta is what the API stores of a stream beyond core/stream, as JSON under metaPrefix and the incarnation. Absent members
// are zero, and members of it that this version does not know stay as they are, so that leat can be downgraded and upgraded
// again. Every list in it has a bound.
type meta struct {
	Tags map[string]string `json:"tags,omitempty"` // at most 50

	// Made says that the API made the stream: whether its shards have limits is up to [Config].Limits.
	Made bool `json:"made,omitempty"`

	// Status is the state that a change of the stream put it into, until Until; empty: ACTIVE.
	Status status    `json:"status,omitempty"`
	Until  time.Time `json:"until,omitzero"`

	// TargetShards is what an UpdateShardCount under way leads to; 0: there is none.
	TargetShards int `json:"target_shards,omitempty"`
	// ShardCounts are when UpdateShardCount was called: at most 10.
	ShardCounts changes `json:"shard_counts,omitempty"`
	// ModeSwitches are when the capacity mode was switched: at most 2.
	ModeSwitches changes `json:"mode_switches,omitempty"`
	// WarmMiBps is the write throughput in MiB/s that an on-demand stream keeps ready, one shard each; 0: none was asked for.
	WarmMiBps int `json:"warm_mibps,omitempty"`
	// AutoDistribution spreads records over the shards of an on-demand stream whatever their keys are.
	AutoDistribution bool `json:"auto_distribution,omitempty"`

	Policy string `json:"policy,omitempty"` // of the resource, as it was put; empty: none
	// ShardMetrics are the metrics of single shards that are on, in the model's order: at most 7.
	ShardMetrics []string `json:"shard_metrics,omitempty"`

	Consumers []consumer `json:"consumers,omitempty"` // by name; at most maxConsumersOnDemand

	// unknown holds the members that this version does not have.
	unknown map[string]json.RawMessage
}

// changes are when a stream was changed in a way that the service allows so often in a rolling period of 24 hours.
type changes []time.Time

const changesPeriod = 24 * time.Hour

// note adds a change now, or returns false if there were as many as may be and limits are on; without them it forgets the
// oldest. Changes ahead of a clock that has been set back do not count.
func (c *changes) note(now time.Time, most int, limits bool) bool {
	counted := slices.DeleteFunc(*c, func(t time.Time) bool { return t.After(now) || now.Sub(t) >= changesPeriod })
	if len(counted) >= most {
		if limits {
			return false
		}
		counted = counted[len(counted)-most+1:]
	}
	*c = append(counted, now)
	return true
}

func metaKey(incarnation uuid.UUID) string { return metaPrefix + incarnation.String() }

// load reads the stored meta; a stream that the API did not make has none.
func (k *known) load() error {
	var p []byte
	k.api.cfg.State.View(func(tx *state.Tx) { p, _ = tx.Get(metaKey(k.Incarnation())) })
	m, err := decodeMeta(p)
	if err != nil {
		return fault.New(fault.Permanent, "kinesis.corrupt", "stream %s: its entry %s in the state store: %w", k.Name(), metaKey(k.Incarnation()), err)
	}
	k.stored.Store(m)
	return nil
}

// update changes the meta in one durable step. If change or the write fails, nothing changes.
func (k *known) update(ctx context.Context, change func(*meta) error) error {
	k.changing.Lock()
	defer k.changing.Unlock()
	if k.removed {
		return k.api.noStream(k.Name())
	}
	p, err := k.meta().encode()
	if err != nil {
		return err
	}
	next, err := decodeMeta(p) // a deep copy: readers keep the old one
	if err != nil {
		return err
	}
	if err := change(next); err != nil {
		return err
	}
	if p, err = next.encode(); err != nil {
		return err
	}
	err = k.api.cfg.State.Update(ctx, func(tx *state.Tx) error {
		tx.Put(metaKey(k.Incarnation()), p)
		return nil
	})
	if err != nil {
		return err
	}
	k.stored.Store(next)
	return nil
}

// remove deletes the stream and its meta in one durable step. A stream that has been deleted and made again under the same
// name meanwhile is another one, and stays: the error is then that of one that is not there.
func (k *known) remove(ctx context.Context) error {
	k.changing.Lock() // no change may bring the meta back
	defer k.changing.Unlock()
	err := k.api.cfg.Streams.Delete(ctx, k.Name(), func(tx *state.Tx, incarnation uuid.UUID) error {
		if incarnation != k.Incarnation() {
			return fault.New(fault.Permanent, "stream.not_found", "stream %s not found", k.Name())
		}
		return removeMeta(tx, incarnation)
	})
	if err != nil {
		return err
	}
	k.removed = true
	k.api.forget(k)
	return nil
}

func removeMeta(tx *state.Tx, incarnation uuid.UUID) error {
	tx.Delete(metaKey(incarnation))
	return nil
}

// sweepMetas removes the metas of streams that are gone, which happens when something else than the API deleted them. If it
// cannot, for example on a full disk, the next start does.
func (a *API) sweepMetas(ctx context.Context) {
	there := a.cfg.Streams.Incarnations()
	var gone []string
	a.cfg.State.View(func(tx *state.Tx) {
		tx.Scan(metaPrefix, func(key string, _ []byte) bool {
			id, err := uuid.Parse(strings.TrimPrefix(key, metaPrefix))
			if _, ok := there[id]; err == nil && !ok {
				gone = append(gone, key)
			}
			return true
		})
	})
	if len(gone) == 0 {
		return
	}
	err := a.cfg.State.Update(ctx, func(tx *state.Tx) error {
		for _, key := range gone {
			tx.Delete(key)
		}
		return nil
	})
	if err != nil {
		a.cfg.Logger.Warn("removing what was kept of deleted streams; the next start tries again", "streams", len(gone), "error", err)
	}
}

func (m *meta) encode() ([]byte, error) {
	type plain meta // without the methods
	p, err := json.Marshal((*plain)(m))
	if err != nil || len(m.unknown) == 0 {
		return p, err
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(p, &all); err != nil {
		return nil, err
	}
	for name, value := range m.unknown {
		all[name] = value
	}
	return json.Marshal(all)
}

// decodeMeta reads a stored meta; nothing is a stream that has none.
func decodeMeta(p []byte) (*meta, error) {
	m := &meta{}
	if len(p) == 0 {
		return m, nil
	}
	if err := json.Unmarshal(p, m); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(p, &m.unknown); err != nil {
		return nil, err
	}
	for _, name := range metaMembers {
		delete(m.unknown, name)
	}
	return m, nil
}

// metaMembers are the names of the members that this version has.
var metaMembers = membersOf(meta{})

// membersOf returns the names that a struct's fields have in JSON.
func membersOf(v any) (names []string) {
	t := reflect.TypeOf(v)
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
