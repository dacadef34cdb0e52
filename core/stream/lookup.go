package stream

import (
	"github.com/google/uuid"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/state"
)

// Lookup finds the incarnation of a stream, which names the folder of its log, in a state store alone: for tools that read
// what another process writes.
func Lookup(store *state.Store, name string) (incarnation uuid.UUID, ok bool, err error) {
	store.View(func(tx *state.Tx) {
		value, there := tx.Get(streamPrefix + name)
		if !there {
			return
		}
		st, e := decodeStored(name, value)
		if e != nil {
			err = fault.New(fault.Permanent, "stream.corrupt", "entry of stream %s in the state store: %w", name, e)
			return
		}
		incarnation, ok = st.Incarnation, true
	})
	return incarnation, ok, err
}
