package benchkinesis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/leatstream/leat/core/vfs"
)

// bareSegment is the size of the bare program's files, which are preallocated as the log's segments are.
const bareSegment = 64 << 20

// ServeBare is the bare program: a Go HTTP server that reads the bodies of PutRecord and PutRecords, hashes them with SHA-256
// as a server must that checks signatures, decodes them with a scanner written for their shape and base64 in vector
// instructions, and group-commits data and partition keys with fdatasync before it answers. It does nothing else that a Kinesis
// does: no hashing of partition keys, no shards, no sequence numbers, no limits, no reads, and its answer is two dozen bytes
// where Kinesis's is 100 a record. It ends with ctx.
func ServeBare(ctx context.Context, l net.Listener, dir string) error {
	fs := vfs.OS()
	if err := fs.MkdirAll(dir); err != nil {
		return err
	}
	g := newGroups(&bareFile{fs: fs, dir: dir})
	var committed sync.WaitGroup
	committed.Go(g.commit)
	server := &http.Server{Handler: &bareHandler{groups: g}, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	err := server.Serve(l)
	g.end()
	committed.Wait()
	g.file.close()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

type bareHandler struct {
	groups *groups
	bufs   sync.Pool // of *buffers
}

// buffers are those of a request.
type buffers struct{ body, decoded []byte }

func (h *bareHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, ok := h.bufs.Get().(*buffers)
	if !ok {
		b = &buffers{}
	}
	defer h.bufs.Put(b)
	if r.ContentLength <= 0 || r.ContentLength > largest {
		http.Error(w, "a body with its length is wanted", http.StatusLengthRequired)
		return
	}
	if int64(cap(b.body)) < r.ContentLength {
		b.body = make([]byte, r.ContentLength)
	}
	b.body = b.body[:r.ContentLength]
	if _, err := io.ReadFull(r.Body, b.body); err != nil {
		return // the client is gone
	}
	sum := sha256.Sum256(b.body)
	b.decoded = b.decoded[:0]
	err := entries(b.body, func(e entry) (err error) {
		b.decoded, err = e.appendData(b.decoded)
		b.decoded = append(b.decoded, e.key...)
		return err
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := h.groups.append(b.decoded); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-Requestid", hex.EncodeToString(sum[:16]))
	_, _ = io.WriteString(w, `{"FailedRecordCount":0}`) // the client may be gone
}

// groups is the least that a group commit needs: what comes while one group is written joins the next. A second one under
// way makes the groups of single records smaller, and so their rate.
type groups struct {
	file  *bareFile
	mu    sync.Mutex
	wake  *sync.Cond
	cur   *group
	spare []byte // of the group before
	ended bool
}

type group struct {
	buf  []byte
	done chan struct{}
	err  error
}

func newGroups(f *bareFile) *groups {
	g := &groups{file: f, cur: &group{done: make(chan struct{})}}
	g.wake = sync.NewCond(&g.mu)
	return g
}

// append returns when p is durable.
func (g *groups) append(p []byte) error {
	g.mu.Lock()
	mine := g.cur
	mine.buf = append(mine.buf, p...)
	g.wake.Signal()
	g.mu.Unlock()
	<-mine.done
	return mine.err
}

func (g *groups) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	g.wake.Signal()
}

// commit writes group after group until end.
func (g *groups) commit() {
	for {
		g.mu.Lock()
		for len(g.cur.buf) == 0 && !g.ended {
			g.wake.Wait()
		}
		full := g.cur
		g.cur = &group{buf: g.spare[:0], done: make(chan struct{})}
		g.spare = nil
		g.mu.Unlock()
		if len(full.buf) == 0 {
			return
		}
		full.err = g.file.write(full.buf)
		close(full.done)
		g.mu.Lock()
		g.spare = full.buf
		g.mu.Unlock()
	}
}

// bareFile is a preallocated file that is written and synced in order, and followed by the next one, which is prepared
// meanwhile.
type bareFile struct {
	fs   vfs.FS
	dir  string
	made int
	f    vfs.File
	off  int64
	next chan nextFile
}

// nextFile is the next file, or why there is none.
type nextFile struct {
	f   vfs.File
	err error
}

func (w *bareFile) write(p []byte) error {
	if w.f == nil || w.off+int64(len(p)) > bareSegment {
		if w.f == nil {
			w.prepare()
		} else {
			_ = w.f.Close() // everything that was acked is synced
			w.f = nil
		}
		ready := <-w.next
		if ready.err != nil {
			return ready.err
		}
		w.f, w.off = ready.f, 0
		w.prepare()
	}
	if _, err := w.f.WriteAt(p, w.off); err != nil {
		return err
	}
	w.off += int64(len(p))
	return w.f.Sync()
}

func (w *bareFile) prepare() {
	w.made++
	name, next := filepath.Join(w.dir, fmt.Sprint("bare-", w.made)), make(chan nextFile, 1)
	w.next = next
	go func() {
		f, err := w.fs.Create(name)
		if err == nil {
			err = f.Allocate(bareSegment)
		}
		next <- nextFile{f, err}
	}()
}

func (w *bareFile) close() {
	if w.f == nil {
		return
	}
	_ = w.f.Close()
	if ready := <-w.next; ready.f != nil {
		_ = ready.f.Close()
	}
}
