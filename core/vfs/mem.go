package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// memTotal is the size that a Mem without a capacity reports.
const memTotal = 1 << 40

// Mem is a file system in memory for tests. It remembers what has been synced and what has not, so that [Mem.Crash] can
// tell what a disk might hold after the power failed. It is safe for concurrent use.
type Mem struct {
	mu       sync.Mutex
	root     *memNode
	changes  []dirChange // not yet synced, oldest first
	locks    map[string]bool
	frozen   bool
	capacity int64 // bytes; 0 is no limit
	used     int64 // bytes in files that have a name or are open
}

// memNode is a file or, if entries is not nil, a directory.
type memNode struct {
	entries map[string]*memNode // as processes see it
	durable map[string]*memNode // as it was at the last SyncDir

	data    content // as processes see it
	synced  content // as it was at the last Sync
	pending []write // since then, oldest first
	written uint64  // number of the newest write
	links   int
	opens   int
	modTime time.Time
}

// NewMem returns an empty file system.
func NewMem() *Mem { return &Mem{root: newMemDir(), locks: map[string]bool{}} }

func newMemDir() *memNode {
	return &memNode{entries: map[string]*memNode{}, durable: map[string]*memNode{}, links: 1}
}

func newMemFile() *memNode { return &memNode{data: newContent(), synced: newContent()} }

func (n *memNode) isDir() bool { return n.entries != nil }

// SetCapacity limits the sizes of all files together to so many bytes; 0 takes the limit away. What is there already
// stays.
func (m *Mem) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = bytes
}

// Freeze makes every later operation on m and on its open files fail with ErrFrozen. A test stops a running engine with
// it at an exact point, and then looks at what [Mem.Crash] or [Mem.Kill] leaves.
func (m *Mem) Freeze() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.frozen = true
}

// begin locks m for an operation. Callers unlock also when it fails.
func (m *Mem) begin(op, name string) error {
	m.mu.Lock()
	if m.frozen {
		return &fs.PathError{Op: op, Path: name, Err: ErrFrozen}
	}
	return nil
}

// split cuts a path into its names, from the root on. A relative path starts at the root too.
func split(name string) []string {
	clean := filepath.ToSlash(filepath.Clean(name))
	return slices.DeleteFunc(strings.Split(clean, "/"), func(s string) bool { return s == "" || s == "." })
}

// lookup returns the node at name.
func (m *Mem) lookup(op, name string) (*memNode, error) {
	at := m.root
	for _, part := range split(name) {
		if !at.isDir() {
			return nil, &fs.PathError{Op: op, Path: name, Err: syscall.ENOTDIR}
		}
		next := at.entries[part]
		if next == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		at = next
	}
	return at, nil
}

// parent returns the directory that holds name, and the name in it.
func (m *Mem) parent(op, name string) (*memNode, string, error) {
	parts := split(name)
	if len(parts) == 0 {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	dir, err := m.lookup(op, strings.Join(parts[:len(parts)-1], "/"))
	if err != nil {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	if !dir.isDir() {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: syscall.ENOTDIR}
	}
	return dir, parts[len(parts)-1], nil
}

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	defer m.mu.Unlock()
	if err := m.begin("create", name); err != nil {
		return nil, err
	}
	dir, base, err := m.parent("create", name)
	if err != nil {
		return nil, err
	}
	if dir.entries[base] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	node := newMemFile()
	node.modTime = time.Now()
	m.change(entry{dir, base, node})
	node.opens++
	return &memFile{fs: m, node: node, name: name, writable: true}, nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) { return m.open(name, true) }

// OpenRead implements FS.
func (m *Mem) OpenRead(name string) (File, error) { return m.open(name, false) }

func (m *Mem) open(name string, writable bool) (File, error) {
	defer m.mu.Unlock()
	if err := m.begin("open", name); err != nil {
		return nil, err
	}
	node, err := m.lookup("open", name)
	if err != nil {
		return nil, err
	}
	if node.isDir() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	}
	node.opens++
	return &memFile{fs: m, node: node, name: name, writable: writable}, nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(name string) error {
	defer m.mu.Unlock()
	if err := m.begin("mkdir", name); err != nil {
		return err
	}
	at := m.root
	for _, part := range split(name) {
		next := at.entries[part]
		if next == nil {
			next = newMemDir()
			m.change(entry{at, part, next})
		}
		if !next.isDir() {
			return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
		}
		m.commit(entry{dir: at, name: part})
		at = next
	}
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	defer m.mu.Unlock()
	if err := m.begin("remove", name); err != nil {
		return err
	}
	dir, base, err := m.parent("remove", name)
	if err != nil {
		return err
	}
	node := dir.entries[base]
	if node == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if len(node.entries) > 0 {
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY}
	}
	m.change(entry{dir, base, nil})
	return nil
}

// Rename implements FS.
func (m *Mem) Rename(from, to string) error {
	defer m.mu.Unlock()
	if err := m.begin("rename", from); err != nil {
		return err
	}
	fromDir, fromBase, err := m.parent("rename", from)
	if err != nil {
		return err
	}
	toDir, toBase, err := m.parent("rename", to)
	if err != nil {
		return err
	}
	node := fromDir.entries[fromBase]
	if node == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	old := toDir.entries[toBase]
	if old == node {
		return nil
	}
	if old != nil && (old.isDir() || node.isDir()) {
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
	}
	m.change(entry{fromDir, fromBase, nil}, entry{toDir, toBase, node})
	return nil
}

// ReadDir implements FS.
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	defer m.mu.Unlock()
	if err := m.begin("readdir", name); err != nil {
		return nil, err
	}
	node, err := m.lookup("readdir", name)
	if err != nil {
		return nil, err
	}
	if !node.isDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: syscall.ENOTDIR}
	}
	list := make([]fs.DirEntry, 0, len(node.entries))
	for _, base := range sortedNames(node.entries) {
		list = append(list, fs.FileInfoToDirEntry(node.entries[base].info(base)))
	}
	return list, nil
}

// Stat implements FS.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	defer m.mu.Unlock()
	if err := m.begin("stat", name); err != nil {
		return nil, err
	}
	node, err := m.lookup("stat", name)
	if err != nil {
		return nil, err
	}
	return node.info(filepath.Base(name)), nil
}

// Lock implements FS.
func (m *Mem) Lock(name string) (io.Closer, error) {
	defer m.mu.Unlock()
	if err := m.begin("lock", name); err != nil {
		return nil, err
	}
	dir, base, err := m.parent("lock", name)
	if err != nil {
		return nil, err
	}
	key := strings.Join(split(name), "/")
	if m.locks[key] {
		return nil, fmt.Errorf("lock %s: %w", name, ErrLocked)
	}
	if dir.entries[base] == nil {
		m.change(entry{dir, base, newMemFile()})
	}
	m.locks[key] = true
	return &memLock{m, key}, nil
}

type memLock struct {
	fs  *Mem
	key string
}

func (l *memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locks, l.key)
	return nil
}

// Usage implements FS.
func (m *Mem) Usage(name string) (Usage, error) {
	defer m.mu.Unlock()
	if err := m.begin("usage", name); err != nil {
		return Usage{}, err
	}
	if _, err := m.lookup("usage", name); err != nil {
		return Usage{}, err
	}
	total := m.capacity
	if total == 0 {
		total = memTotal
	}
	return Usage{Free: uint64(m.free()), Total: uint64(total)}, nil
}

// free returns how many more bytes fit.
func (m *Mem) free() int64 {
	if m.capacity == 0 {
		return max(0, memTotal-m.used)
	}
	return max(0, m.capacity-m.used)
}

// release gives the room of a file back once it has neither name nor opener.
func (m *Mem) release(n *memNode) {
	if n.links == 0 && n.opens == 0 && !n.isDir() {
		m.used -= n.data.size
	}
}

func (n *memNode) info(base string) fs.FileInfo {
	mode := fs.FileMode(filePerm)
	if n.isDir() {
		mode = fs.ModeDir | dirPerm
	}
	return memInfo{base, n.data.size, mode, n.modTime}
}

type memInfo struct {
	name    string
	size    int64
	mode    fs.FileMode
	modTime time.Time
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) Mode() fs.FileMode  { return i.mode }
func (i memInfo) ModTime() time.Time { return i.modTime }
func (i memInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memInfo) Sys() any           { return nil }
