package benchpipe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// The bare program does what the pipeline does to the bytes, with the same sizes, and nothing more: no shards, no
// positions, no recovery.
const (
	bareRead   = 512 << 10 // as the log's appends
	bareObject = 5 << 20   // as the sink's buffer
	bareLevel  = 1         // as the sink's compression
)

// piece is the content of one object, whole lines.
type piece struct{ data []byte }

// bareWhole reads input, appends it to a file with an fdatasync for each read, compresses it on all cores and writes
// durable objects into dir.
func bareWhole(input, dir string) (err error) {
	in, err := os.Open(input)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()

	read := make(chan []byte, 4)
	stored := make(chan piece, 2*runtime.GOMAXPROCS(0))
	var errs [2]error
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(read)
		errs[0] = readBlocks(in, func(p []byte) error {
			read <- p
			return nil
		})
	})
	wg.Go(func() {
		defer close(stored)
		object := make([]byte, 0, bareObject+bareRead)
		for p := range read {
			if errs[1] != nil {
				continue // let the reader end
			}
			if _, err := log.Write(p); err != nil {
				errs[1] = err
				continue
			}
			if err := datasync(log); err != nil {
				errs[1] = err
				continue
			}
			if object = append(object, p...); len(object) >= bareObject {
				cut := bytes.LastIndexByte(object, '\n') + 1
				next := append(make([]byte, 0, bareObject+bareRead), object[cut:]...)
				stored <- piece{object[:cut]}
				object = next
			}
		}
		if len(object) > 0 && errs[1] == nil {
			stored <- piece{object}
		}
	})
	write := func(n int, p piece) error {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("object-%06d.gz", n)))
		if err != nil {
			return err
		}
		return errors.Join(compress(f, p.data), f.Sync(), f.Close())
	}
	err = onAllCores(stored, write)
	wg.Wait()
	return errors.Join(err, errs[0], errs[1])
}

// bareGzip compresses input on all cores and keeps nothing. The input has been read before.
func bareGzip(content []byte) error {
	pieces := make(chan piece)
	go func() {
		defer close(pieces)
		for len(content) > 0 {
			n := min(bareObject, len(content))
			pieces <- piece{content[:n]}
			content = content[n:]
		}
	}()
	return onAllCores(pieces, func(_ int, p piece) error { return compress(io.Discard, p.data) })
}

func compress(w io.Writer, p []byte) error {
	z, err := gzip.NewWriterLevel(w, bareLevel)
	if err != nil {
		return err
	}
	_, err = z.Write(p)
	return errors.Join(err, z.Close())
}

// onAllCores hands the pieces to as many workers as there are cores.
func onAllCores(pieces <-chan piece, work func(n int, p piece) error) error {
	var mu sync.Mutex
	var first error
	n := 0
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for p := range pieces {
				mu.Lock()
				n++
				mine, failed := n, first != nil
				mu.Unlock()
				if failed {
					continue // let the producer end
				}
				if err := work(mine, p); err != nil {
					mu.Lock()
					first = err
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return first
}

// readBlocks reads all of r in blocks.
func readBlocks(r io.Reader, take func([]byte) error) error {
	for {
		p := make([]byte, bareRead)
		n, err := io.ReadFull(r, p)
		if n > 0 {
			if err := take(p[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
