package state

import (
	"encoding/binary"
	"fmt"
)

// The operations of a transaction. FORMAT.md has the byte tables.
const (
	opPut    = 1
	opDelete = 2
)

// The flags of a journal record.
const (
	partFirst = 1 << 0 // the transaction begins here
	partLast  = 1 << 1 // and ends here
)

// maxPart bounds what one journal record holds of a transaction, in bytes.
const maxPart = 4 << 20

func appendPut(b []byte, key string, value []byte) []byte {
	b = append(b, opPut)
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = append(b, key...)
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

func appendDelete(b []byte, key string) []byte {
	b = append(b, opDelete)
	b = binary.AppendUvarint(b, uint64(len(key)))
	return append(b, key...)
}

// applyOps replays the operations of one transaction. It changes all only if they are whole.
func applyOps(ops []byte, all *keys) error {
	if err := eachOp(ops, func(byte, []byte, []byte) {}); err != nil {
		return err
	}
	return eachOp(ops, func(op byte, key, value []byte) {
		if op == opPut {
			all.Set(string(key), string(value))
			return
		}
		all.Delete(string(key))
	})
}

func eachOp(ops []byte, do func(op byte, key, value []byte)) error {
	rest := ops
	for len(rest) > 0 {
		at := len(ops) - len(rest)
		op := rest[0]
		if op != opPut && op != opDelete {
			return fmt.Errorf("unknown operation %d at byte %d of a transaction", op, at)
		}
		key, behind, err := cutField(rest[1:], MaxKey)
		if err != nil {
			return fmt.Errorf("key at byte %d of a transaction: %w", at, err)
		}
		if len(key) == 0 {
			return fmt.Errorf("empty key at byte %d of a transaction", at)
		}
		var value []byte
		if op == opPut {
			if value, behind, err = cutField(behind, MaxTransaction); err != nil {
				return fmt.Errorf("value at byte %d of a transaction: %w", at, err)
			}
		}
		do(op, key, value)
		rest = behind
	}
	return nil
}

// cutField splits b into a field, which its length precedes, and the rest.
func cutField(b []byte, limit uint64) (field, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return nil, nil, fmt.Errorf("bad length")
	}
	b = b[size:]
	if n > limit || n > uint64(len(b)) {
		return nil, nil, fmt.Errorf("length %d: there are %d bytes, and %d are allowed", n, len(b), limit)
	}
	return b[:n], b[n:], nil
}

// cutParts makes journal records of a transaction.
func cutParts(ops []byte) [][]byte {
	var parts [][]byte
	flags := byte(partFirst)
	for {
		n := min(len(ops), maxPart)
		if n == len(ops) {
			flags |= partLast
		}
		part := make([]byte, 0, 1+n)
		parts = append(parts, append(append(part, flags), ops[:n]...))
		ops = ops[n:]
		flags = 0
		if len(ops) == 0 {
			return parts
		}
	}
}

// joiner puts the parts of transactions together again, in the order of the journal.
type joiner struct {
	open bool
	ops  []byte
}

// add takes the next journal record. whole says that it completes a transaction; ops is valid until the next call.
func (j *joiner) add(part []byte) (ops []byte, whole bool, err error) {
	if len(part) == 0 || part[0]&^(partFirst|partLast) != 0 {
		return nil, false, fmt.Errorf("not a part of a transaction: %.8q", part)
	}
	flags, body := part[0], part[1:]
	if flags&partFirst != 0 {
		// What came before without an end was cut off by a crash and never acked.
		j.open, j.ops = true, j.ops[:0]
	}
	if !j.open {
		return nil, false, fmt.Errorf("a transaction continues that never began")
	}
	if len(j.ops)+len(body) > MaxTransaction {
		return nil, false, fmt.Errorf("a transaction has more than %d bytes", MaxTransaction)
	}
	j.ops = append(j.ops, body...)
	if flags&partLast == 0 {
		return nil, false, nil
	}
	j.open = false
	return j.ops, true, nil
}

// sortedPut adds a key that must follow all keys before it; snapshots are written in order.
func sortedPut(all *keys, key, value []byte) error {
	if last, _, ok := all.Max(); ok && last >= string(key) {
		return fmt.Errorf("key %.40q is not behind key %.40q", key, last)
	}
	all.Set(string(key), string(value))
	return nil
}
