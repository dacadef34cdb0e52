package state

import (
	"bytes"
	"io"
	"testing"

	"github.com/leatstream/leat/core/vfs"
)

func FuzzTransaction(f *testing.F) {
	f.Add([]byte{partFirst | partLast}, []byte{partFirst})
	f.Add(append([]byte{partFirst | partLast}, appendDelete(appendPut(nil, "key", []byte("value")), "key")...), []byte{partLast, opPut})
	ops := appendPut(nil, "key", bytes.Repeat([]byte("v"), 300))
	f.Add(append([]byte{partFirst}, ops[:100]...), append([]byte{partLast}, ops[100:]...))
	f.Add([]byte{partFirst, opPut, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, []byte{4})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var parts joiner
		all := new(keys)
		for _, part := range [][]byte{first, second} {
			ops, whole, err := parts.add(part)
			if err != nil || !whole {
				continue
			}
			before := all.Len()
			if err := applyOps(ops, all); err != nil {
				if all.Len() != before {
					t.Fatal("a damaged transaction was applied in part")
				}
				continue
			}
			// What is valid survives being encoded again.
			var again []byte
			if err := eachOp(ops, func(op byte, key, value []byte) {
				if op == opPut {
					again = appendPut(again, string(key), value)
				} else {
					again = appendDelete(again, string(key))
				}
			}); err != nil {
				t.Fatal(err)
			}
			other := new(keys)
			if err := applyOps(again, other); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzSnapshot(f *testing.F) {
	for _, n := range []int{0, 1, 1000} {
		fsys := vfs.NewMem()
		all := new(keys)
		for i := range n {
			all.Set(string(rune('a'+i)), string(bytes.Repeat([]byte("v"), i)))
		}
		if _, err := writeSnapshot(fsys, "/", 7, all, seams{}); err != nil {
			f.Fatal(err)
		}
		file, err := fsys.OpenRead("/snapshot")
		if err != nil {
			f.Fatal(err)
		}
		size, err := file.Size()
		if err != nil {
			f.Fatal(err)
		}
		b := make([]byte, size)
		if _, err := file.ReadAt(b, 0); err != nil && err != io.EOF {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 4<<10)])
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		all, position, err := decodeSnapshot(bytes.NewReader(b).ReadAt, int64(len(b)))
		if err != nil {
			return
		}
		fsys := vfs.NewMem()
		if _, err := writeSnapshot(fsys, "/", position, all, seams{}); err != nil {
			t.Fatal(err)
		}
		again, at, _, err := readSnapshot(fsys, "/")
		if err != nil || at != position || again.Len() != all.Len() {
			t.Fatalf("written again: %d keys at %d, %v; want %d at %d", again.Len(), at, err, all.Len(), position)
		}
	})
}
