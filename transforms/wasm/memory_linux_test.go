package wasm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatstream/leat/internal/testenv"
)

// TestMemoryIsPutBackToWhatItWasWhenItWasKept compares a memory with a copy of it, while it is written to, grows, is kept
// and forgotten.
func TestMemoryIsPutBackToWhatItWasWhenItWasKept(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range testenv.Count(20, 200) {
		m := mapMemory(16 << 20)
		size := (1 + rnd.IntN(60)) * pageSize
		b := m.Reallocate(uint64(size))
		write := func() {
			for range 1 << rnd.IntN(10) {
				at := rnd.IntN(size)
				for n := rnd.IntN(1 << rnd.IntN(16)); n >= 0 && at < size; n-- {
					b[at] = byte(rnd.Uint32())
					at++
				}
			}
		}
		grow := func() {
			if rnd.IntN(3) == 0 {
				size = min(size+rnd.IntN(10)*pageSize, 16<<20)
				b = m.Reallocate(uint64(size))
			}
		}
		for range 12 {
			write()
			if !m.keep(size) {
				t.Fatal("the memory is not kept")
			}
			kept := bytes.Clone(b)
			for range rnd.IntN(4) {
				write()
				grow()
				if err := m.forget(size); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(b[:len(kept)], kept) || bytes.Count(b[len(kept):], []byte{0}) != len(b)-len(kept) {
					t.Fatalf("seed %d: the memory is another one", seed)
				}
			}
			grow()
		}
		m.release()
	}
}

// TestAMemoryThatCannotBeKeptNowMayBeLater has no addresses for a while.
func TestAMemoryThatCannotBeKeptNowMayBeLater(t *testing.T) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &old); err != nil {
		t.Fatal(err)
	}
	m := mapMemory(1 << 30)
	defer m.release()
	b := m.Reallocate(4 * pageSize)
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var pages uint64
	if _, err := fmt.Sscan(string(statm), &pages); err != nil {
		t.Fatal(err)
	}
	tight := old
	tight.Cur = pages*uint64(os.Getpagesize()) + 256<<20
	if err := unix.Setrlimit(unix.RLIMIT_AS, &tight); err != nil {
		t.Fatal(err)
	}
	early := m.keep(len(b))
	if err := unix.Setrlimit(unix.RLIMIT_AS, &old); err != nil {
		t.Fatal(err)
	}
	if early {
		t.Fatal("there were addresses")
	}
	for n := range byte(3) {
		b[n] = n
		if !m.keep(len(b)) {
			t.Fatal("the memory is not kept")
		}
		b[n]++
		if err := m.forget(len(b)); err != nil || b[n] != n {
			t.Fatal(b[n], err)
		}
	}
}
