package record

import (
	"bytes"
	"fmt"
	"testing"
)

func TestShardIDsAreNamedAsInKinesis(t *testing.T) {
	if got := ShardID(12).String(); got != "shardId-000000000012" {
		t.Fatal(got)
	}
	for text, want := range map[string]ShardID{"shardId-000000000012": 12, "7": 7, "shardId-4294967295": 1<<32 - 1} {
		if got, err := ParseShardID(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "shardId-", "shardId--1", "shardId-4294967296", "x"} {
		if got, err := ParseShardID(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestSettingAnAttributeReplacesItsValue(t *testing.T) {
	var a Attrs
	a.Set("x", "1")
	a.Set("y", "2")
	a.Set("x", "3")
	if got := fmt.Sprint(a); got != "[{x 3} {y 2}]" {
		t.Fatal(got)
	}
	if _, ok := a.Get("z"); ok {
		t.Fatal("z is there")
	}
}

// What a batch has handed out stays where it is while more is allocated, and a neighbour cannot be overwritten.
func TestArenaMemoryDoesNotMove(t *testing.T) {
	b := NewBatch()
	defer b.Release()
	for round := range 3 { // a reset batch uses its chunks again
		b.Reset()
		var parts [][]byte
		for i := range 500 {
			size := (i*7919)%9000 + round
			if i%100 == 99 {
				size = chunkSize + i // larger than a chunk
			}
			p := b.Alloc(size)
			for k := range p {
				p[k] = byte(i)
			}
			_ = append(p, 0xff)
			parts = append(parts, p)
		}
		for i, p := range parts {
			if bytes.Count(p, []byte{byte(i)}) != len(p) {
				t.Fatalf("round %d: allocation %d was overwritten", round, i)
			}
		}
	}
}

// What is given back is used again, and what was there before it stays as it is.
func TestARewoundArenaIsUsedAgain(t *testing.T) {
	b := NewBatch()
	defer b.Release()
	kept := b.Bytes([]byte("kept"))
	mark, held := b.Mark(), b.Held()
	for size := 1; size < 3*keepChunk; size += size/2 + 1 {
		clear(b.Alloc(size))
		if b.Held() < held+size {
			t.Fatalf("%d bytes are in use after %d more than %d", b.Held(), size, held)
		}
		b.Rewind(mark)
		if b.Held() != held || string(kept) != "kept" {
			t.Fatalf("%d bytes are in use, want %d; %q", b.Held(), held, kept)
		}
	}
	spare := 0
	for _, c := range b.chunks[b.used:] {
		spare += cap(c)
	}
	if spare > keepChunks*keepChunk {
		t.Errorf("%d bytes are kept for nothing", spare)
	}
	first := b.Alloc(8)
	b.Rewind(mark)
	if second := b.Alloc(8); &first[0] != &second[0] {
		t.Error("what was given back is not used again")
	}
}

func TestAddedRecordsAreCopies(t *testing.T) {
	b := NewBatch()
	defer b.Release()
	data, attrs := []byte("data"), Attrs{{"n", "v"}}
	b.Add(Record{Key: "key", Data: data, Attrs: attrs, Seq: 9})
	data[0], attrs[0].Value = 'X', "changed"
	r := b.Records[0]
	if r.Key != "key" || string(r.Data) != "data" || r.Attrs[0].Value != "v" || r.Seq != 9 {
		t.Fatalf("%+v", r)
	}
	if b.Size() != 7 || b.Len() != 1 {
		t.Fatalf("%d bytes, %d records", b.Size(), b.Len())
	}
}

func TestABatchIsReleasedOnce(t *testing.T) {
	b := NewBatch()
	b.Add(Record{Key: "mine"})
	b.Release()
	defer func() {
		if recover() == nil {
			t.Fatal("a second release goes unnoticed")
		}
	}()
	b.Release()
}

func BenchmarkAlloc(b *testing.B) {
	batch := NewBatch()
	for i := range b.N {
		if i%1000 == 0 {
			batch.Reset()
		}
		batch.Alloc(250)
	}
}
