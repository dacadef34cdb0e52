package state

import (
	"encoding/binary"
	"strings"

	"github.com/tidwall/btree"

	"github.com/leatstream/leat/core/fault"
)

const (
	// MaxKey is the longest key, in bytes.
	MaxKey = 4 << 10
	// MaxTransaction bounds the keys and values that one transaction writes, in encoded bytes.
	MaxTransaction = 64 << 20
)

// keys is all keys of one moment with their values. Copies are cheap and share memory.
type keys = btree.Map[string, string]

// Tx is a transaction. It is valid until the function that got it returns, and not safe for concurrent use.
type Tx struct {
	version
	ops      []byte // what is written, encoded
	err      error
	readOnly bool
}

// Get returns the value of key, and whether there is one. The caller owns the value.
func (tx *Tx) Get(key string) (value []byte, ok bool) {
	v, ok := tx.keys.Get(key)
	if !ok {
		return nil, false
	}
	return []byte(v), true
}

// Scan calls fn for each key with the prefix, in byte order, until fn returns false. What fn writes does not change what
// it is called with. fn owns the values.
func (tx *Tx) Scan(prefix string, fn func(key string, value []byte) bool) {
	all := tx.keys
	if !tx.readOnly {
		all = all.Copy()
	}
	all.Ascend(prefix, func(key, value string) bool {
		return strings.HasPrefix(key, prefix) && fn(key, []byte(value))
	})
}

// Put sets the value of a key of 1 to MaxKey bytes. An error surfaces when Update ends. It panics in a View.
func (tx *Tx) Put(key string, value []byte) {
	switch {
	case tx.readOnly:
		panic("state: Put in a View")
	case tx.err != nil:
	case key == "" || len(key) > MaxKey:
		tx.err = fault.New(fault.Permanent, "state.bad_key", "state: key %.40q has %d bytes: want 1 to %d", key, len(key), MaxKey)
	case tx.fits(len(key) + len(value)):
		tx.ops = appendPut(tx.ops, key, value)
		if old, ok := tx.keys.Set(strings.Clone(key), string(value)); ok {
			tx.size -= int64(len(key) + len(old))
		}
		tx.size += int64(len(key) + len(value))
	}
}

// Delete removes a key; without such a key it does nothing. An error surfaces when Update ends. It panics in a View.
func (tx *Tx) Delete(key string) {
	if tx.readOnly {
		panic("state: Delete in a View")
	}
	old, ok := tx.keys.Get(key)
	if !ok || tx.err != nil || !tx.fits(len(key)) {
		return
	}
	tx.ops = appendDelete(tx.ops, key)
	tx.keys.Delete(key)
	tx.size -= int64(len(key) + len(old))
}

// fits reports whether the transaction may grow by an operation with a key and value of n bytes together.
func (tx *Tx) fits(n int) bool {
	const opHead = 1 + 2*binary.MaxVarintLen32
	if len(tx.ops)+opHead+n > MaxTransaction {
		tx.err = fault.New(fault.Permanent, "state.too_large",
			"state: a transaction writes more than %d MiB", MaxTransaction>>20).WithHint("split it")
	}
	return tx.err == nil
}
