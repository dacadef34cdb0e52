package kinesis

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/state"
)

// metaPrefix precedes the incarnations of streams in the state store.
const metaPrefix = "kinesis/stream/"

// meta is what the API stores of a stream beyond core/stream, as JSON under metaPrefix and the incarnation. Absent members
// are zero, and members that this version does not know stay as they are, so that leat can be downgraded and upgraded
// again. Every list in it has a bound.
type meta struct {
	Tags map[string]string `json:"tags,omitempty"` // at most 50

	// Status is the state that a change of the stream put it into, until Until; empty: ACTIVE.
	Status status    `json:"status,omitempty"`
	Until  time.Time `json:"until,omitzero"`

	Consumers []consumer `json:"consumers,omitempty"` // by name; at most maxConsumers and those that are gone

	// unknown holds the members that this version does not have.
	unknown map[string]json.RawMessage
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
