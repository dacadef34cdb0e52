// Package file is the sink that writes each object as a file below a directory, exactly once.
//
// A put
//
//  1. looks whether the file is there: then it is this object, from an earlier put whose success was not seen, or a conflict;
//  2. writes the body to a file of its own in TempDir below the directory and syncs it;
//  3. creates the directories of the key and syncs each one's parent;
//  4. links the file to its name, which fails if something is there, and removes the temporary name;
//  5. syncs the directory that holds it.
//
// So a file appears whole or not at all, and after a power failure it is still there once Put has returned. All paths go
// through [os.Root]: neither a key nor a symbolic link below the directory leads out of it.
package file

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
)

// TempDir is the folder below the sink's directory that holds files while they are written.
const TempDir = ".leat-tmp"

const (
	dirMode  = 0o755 // before umask
	fileMode = 0o644
	// copySize is what is copied between two looks at the context, in bytes.
	copySize = 1 << 20
)

// Config says where the files go.
type Config struct {
	// Dir is the directory. A relative one is below the working directory. It is created by Start or the first Put; when
	// it vanishes later (a volume that is not mounted any more), puts fail rather than write elsewhere.
	Dir string `json:"dir"`
}

// Sink writes files. All methods may be called concurrently.
type Sink struct {
	dir string

	mu      sync.Mutex
	created bool                // the directory has been there
	durable map[string]struct{} // directories below it whose entry in their parent is synced

	syncFile func(*os.File) error // a test seam: (*os.File).Sync
}

// New returns a sink. It touches no file: Probe and Start do.
func New(cfg Config) (*Sink, error) {
	if cfg.Dir == "" {
		return nil, fault.New(fault.Permanent, "sink.file.no_dir", "file sink: no directory is given").
			WithHint("set dir")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fault.New(fault.Permanent, "sink.file.bad_dir", "file sink: directory %q: %w", cfg.Dir, err)
	}
	return &Sink{dir: dir, durable: make(map[string]struct{}), syncFile: (*os.File).Sync}, nil
}

// Destination has the absolute directory.
func (s *Sink) Destination() delivery.Destination {
	config, err := json.Marshal(Config{Dir: s.dir})
	if err != nil {
		panic(err) // a string always marshals
	}
	return delivery.Destination{Kind: "file", Config: config}
}

// Close does nothing: a Put holds nothing open when it returns.
func (s *Sink) Close(context.Context) error { return nil }

// Put writes the chunk's file. It returns within one write or sync of ctx's end.
func (s *Sink) Put(ctx context.Context, c *delivery.Chunk) error {
	if err := ctx.Err(); err != nil {
		return s.failed(c.Key, err)
	}
	name, err := nameOf(c.Key)
	if err != nil {
		return err
	}
	root, err := s.openRoot()
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()

	switch _, err := root.Lstat(name); {
	case err == nil:
		return s.recognize(ctx, root, name, c)
	case errors.Is(err, fs.ErrNotExist):
	default:
		return s.failed(c.Key, err)
	}
	temp, err := s.writeTemp(ctx, root, c)
	if temp != nil {
		defer temp.discard()
	}
	if err != nil {
		return s.failed(c.Key, err)
	}
	if err := s.makeDirs(root, filepath.Dir(name)); err != nil {
		return s.failed(c.Key, err)
	}
	switch err := temp.place(name); {
	case errors.Is(err, fs.ErrExist): // put concurrently
		return s.recognize(ctx, root, name, c)
	case err != nil:
		return s.failed(c.Key, err)
	}
	if err := s.syncPath(root, filepath.Dir(name)); err != nil {
		return s.failed(c.Key, err)
	}
	return nil
}

// recognize compares what is at name with the chunk: nil if it is the chunk, now durable, else a conflict.
func (s *Sink) recognize(ctx context.Context, root *os.Root, name string, c *delivery.Chunk) error {
	info, err := root.Lstat(name)
	if err != nil {
		return s.failed(c.Key, err)
	}
	if !info.Mode().IsRegular() {
		return delivery.ConflictError(s.label(), c.Key, info.Mode().Type().String(), c.ID)
	}
	if info.Size() != c.Size {
		return delivery.ConflictError(s.label(), c.Key, fmt.Sprintf("of %d bytes", info.Size()), c.ID)
	}
	f, err := root.Open(name)
	if err != nil {
		return s.failed(c.Key, err)
	}
	defer func() { _ = f.Close() }()
	hash := sha256.New()
	if _, err := copyAll(ctx, hash, f); err != nil {
		return s.failed(c.Key, err)
	}
	if sum := [32]byte(hash.Sum(nil)); sum != c.SHA256 {
		return delivery.ConflictError(s.label(), c.Key, fmt.Sprintf("with SHA-256 %x", sum), c.ID)
	}
	// The earlier put may have ended before its syncs.
	if err := s.syncFile(f); err != nil {
		return s.failed(c.Key, err)
	}
	if err := s.makeDirs(root, filepath.Dir(name)); err != nil {
		return s.failed(c.Key, err)
	}
	if err := s.syncPath(root, filepath.Dir(name)); err != nil {
		return s.failed(c.Key, err)
	}
	return nil
}

func (s *Sink) label() string { return "file sink " + s.dir }

// copyAll is io.Copy that ends with ctx.
func copyAll(ctx context.Context, dst io.Writer, src io.Reader) (int64, error) {
	var total int64
	for {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		n, err := io.CopyN(dst, src, copySize)
		total += n
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
