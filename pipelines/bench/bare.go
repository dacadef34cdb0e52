package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/leatstream/leat/core/vfs"
)

const (
	// bareChunk is what the bare program reads, appends and syncs at a time: the size of the feeder's puts.
	bareChunk = 1 << 20
	// bareBlock is what it compresses at a time, and bareObject the size of its objects before compression.
	bareBlock  = 256 << 10
	bareObject = 64 << 20
)

// writeLines writes lines of a web server's log as JSON.
func writeLines(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	w := bufio.NewWriterSize(f, 1<<20)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for written := int64(0); written < size; {
		at = at.Add(time.Duration(rng.IntN(5)) * time.Millisecond)
		line, err := json.Marshal(struct {
			Time   string  `json:"time"`
			Client string  `json:"client"`
			Method string  `json:"method"`
			Path   string  `json:"path"`
			Status int     `json:"status"`
			Bytes  int     `json:"bytes"`
			Took   float64 `json:"took_ms"`
			Agent  string  `json:"agent"`
			ID     string  `json:"request_id"`
		}{
			at.Format(time.RFC3339Nano), fmt.Sprintf("10.%d.%d.%d", rng.IntN(4), rng.IntN(256), rng.IntN(256)),
			[]string{"GET", "GET", "GET", "POST", "PUT"}[rng.IntN(5)],
			fmt.Sprintf("/api/v1/%s/%d", []string{"orders", "users", "items", "carts"}[rng.IntN(4)], rng.IntN(100000)),
			[]int{200, 200, 200, 204, 304, 404, 500}[rng.IntN(7)], rng.IntN(50000), float64(rng.IntN(100000)) / 100,
			[]string{"Mozilla/5.0 (X11; Linux x86_64)", "curl/8.5.0", "aws-sdk-go/1.55"}[rng.IntN(3)],
			fmt.Sprintf("%016x", rng.Uint64()),
		})
		if err != nil {
			return err
		}
		n, err := w.Write(append(line, '\n'))
		if err != nil {
			return err
		}
		written += int64(n)
	}
	return w.Flush()
}

// bareProgram reads the file, appends it to a preallocated log with an fdatasync a chunk, compresses blocks on all cores,
// and writes them as objects. Reading and appending, compressing, and writing overlap.
func bareProgram(input, dir string) (time.Duration, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, err
	}
	began := time.Now()
	blocks := make(chan *bareWork, 4*runtime.GOMAXPROCS(0))
	ordered := make(chan *bareWork, 4*runtime.GOMAXPROCS(0))
	var compressors sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		compressors.Go(func() { compressBlocks(blocks) })
	}
	wrote := make(chan error, 1)
	go func() { wrote <- writeObjects(dir, ordered) }()
	err := appendAndCut(input, filepath.Join(dir, "log"), func(p []byte) {
		k := &bareWork{raw: p, done: make(chan struct{})}
		blocks <- k
		ordered <- k
	})
	close(blocks)
	close(ordered)
	compressors.Wait()
	if werr := <-wrote; err == nil {
		err = werr
	}
	return time.Since(began), err
}

type bareWork struct {
	raw, out []byte
	done     chan struct{}
}

func compressBlocks(blocks <-chan *bareWork) {
	w, err := gzip.NewWriterLevel(io.Discard, 1)
	if err != nil {
		panic(err) // the level is a constant
	}
	for k := range blocks {
		var out sliceWriter
		w.Reset(&out)
		if _, err := w.Write(k.raw); err != nil {
			panic(err) // a sliceWriter does not fail
		}
		if err := w.Close(); err != nil {
			panic(err)
		}
		k.out = out
		close(k.done)
	}
}

type sliceWriter []byte

func (s *sliceWriter) Write(p []byte) (int, error) {
	*s = append(*s, p...)
	return len(p), nil
}

// appendAndCut makes the input durable in a log, and hands on blocks of what is durable.
func appendAndCut(input, logPath string, block func([]byte)) error {
	in, err := os.Open(input)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	log, err := vfs.OS().Create(logPath)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := log.Allocate(info.Size()); err != nil {
		return err
	}
	for off := int64(0); ; {
		chunk := make([]byte, bareChunk)
		n, err := io.ReadFull(in, chunk)
		if n == 0 {
			return nil
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return err
		}
		chunk = chunk[:n]
		if _, err := log.WriteAt(chunk, off); err != nil {
			return err
		}
		if err := log.Sync(); err != nil {
			return err
		}
		off += int64(n)
		for len(chunk) > 0 {
			cut := min(len(chunk), bareBlock)
			block(chunk[:cut])
			chunk = chunk[cut:]
		}
	}
}

// writeObjects writes the blocks, as members of gzip files, and syncs each file.
func writeObjects(dir string, ordered <-chan *bareWork) (err error) {
	var f *os.File
	raw := 0
	finish := func() {
		if f == nil {
			return
		}
		if serr := f.Sync(); err == nil {
			err = serr
		}
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		f, raw = nil, 0
	}
	objects := 0
	for k := range ordered {
		<-k.done
		if f == nil && err == nil {
			objects++
			f, err = os.Create(filepath.Join(dir, fmt.Sprintf("%d.gz", objects)))
		}
		if err != nil {
			continue
		}
		_, err = f.Write(k.out)
		if raw += len(k.raw); raw >= bareObject {
			finish()
		}
	}
	finish()
	return err
}

// bareGzip compresses the input, block by block, on all cores, from memory to nowhere.
func bareGzip(input string) (time.Duration, error) {
	p, err := os.ReadFile(input)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	blocks := make(chan *bareWork, 64)
	var compressors sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		compressors.Go(func() { compressBlocks(blocks) })
	}
	for len(p) > 0 {
		n := min(len(p), bareBlock)
		blocks <- &bareWork{raw: p[:n], done: make(chan struct{})}
		p = p[n:]
	}
	close(blocks)
	compressors.Wait()
	return time.Since(began), nil
}
