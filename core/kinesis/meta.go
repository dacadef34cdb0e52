package kinesis

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/leatstream/leat/core/state"
)

// meta is what the API stores of a stream beyond core/stream, as JSON under "kinesis/<incarnation>".
type meta struct {
	Tags map[string]string `json:"tags,omitempty"`
}

func (k *known) key() string { return "kinesis/" + k.Incarnation().String() }

// load reads the stored meta; a stream that the API did not make has none.
func (k *known) load() error {
	var p []byte
	k.api.cfg.State.View(func(tx *state.Tx) {
		if v, ok := tx.Get(k.key()); ok {
			p = bytes.Clone(v)
		}
	})
	if p == nil {
		return nil
	}
	return json.Unmarshal(p, &k.meta)
}

// update changes the meta in one durable step. If change or the write fails, nothing changes.
func (k *known) update(ctx context.Context, change func(*meta) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, err := json.Marshal(k.meta)
	if err != nil {
		return err
	}
	var next meta // a deep copy: a change that fails leaves nothing behind
	if err := json.Unmarshal(p, &next); err != nil {
		return err
	}
	if err := change(&next); err != nil {
		return err
	}
	if p, err = json.Marshal(next); err != nil {
		return err
	}
	err = k.api.cfg.State.Update(ctx, func(tx *state.Tx) error {
		tx.Put(k.key(), p)
		return nil
	})
	if err != nil {
		return err
	}
	k.meta = next
	return nil
}
