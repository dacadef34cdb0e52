package state

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/leatstream/leat/core/vfs"
)

// BenchmarkUpdate measures durable transactions of one 100-byte value; BenchmarkBareSync is what the disk gives to one
// writer of as many bytes.
func BenchmarkUpdate(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s, err := Open(vfs.OS(), filepath.Join(b.TempDir(), "state"), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			value := make([]byte, 100)
			work := make(chan int)
			done := make(chan error)
			for range writers {
				go func() {
					for i := range work {
						err := s.Update(b.Context(), func(tx *Tx) error {
							tx.Put(fmt.Sprintf("key/%06d", i%10_000), value)
							return nil
						})
						if err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			b.ResetTimer()
			for i := range b.N {
				work <- i
			}
			close(work)
			for range writers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBareSync(b *testing.B) {
	f, err := vfs.OS().Create(filepath.Join(b.TempDir(), "f"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Allocate(8 << 20); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	record := make([]byte, 256)
	for i := 0; b.Loop(); i++ {
		if _, err := f.WriteAt(record, int64(i*len(record))%(8<<20)); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkView measures a read of one key, which waits for nobody.
func BenchmarkView(b *testing.B) {
	s, err := Open(vfs.NewMem(), "/state", Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	err = s.Update(b.Context(), func(tx *Tx) error {
		for i := range 10_000 {
			tx.Put(fmt.Sprintf("key/%06d", i), make([]byte, 100))
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.View(func(tx *Tx) {
				if _, ok := tx.Get("key/004711"); !ok {
					b.Error("no such key")
				}
			})
		}
	})
}
