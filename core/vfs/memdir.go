package vfs

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"syscall"
)

// entry says that a name in a directory stands for node, or for nothing.
type entry struct {
	dir  *memNode
	name string
	node *memNode
}

// dirChange is an operation on directories that has not been synced: all its entries take effect at once, or none.
type dirChange []entry

func (c dirChange) touches(dir *memNode) bool {
	return slices.ContainsFunc(c, func(e entry) bool { return e.dir == dir })
}

// slot is a name in a directory, whatever it stands for.
type slot struct {
	dir  *memNode
	name string
}

func (e entry) slot() slot { return slot{e.dir, e.name} }

// change applies entries to what processes see and remembers that this is not durable.
func (m *Mem) change(entries ...entry) {
	for _, e := range entries {
		if e.node != nil {
			e.node.links++ // before the old name goes, so that a rename never counts as a removal
		}
	}
	for _, e := range entries {
		old := e.dir.entries[e.name]
		set(e.dir.entries, e.name, e.node)
		if old != nil {
			old.links--
			m.release(old)
		}
	}
	m.changes = append(m.changes, entries)
}

func set(entries map[string]*memNode, name string, node *memNode) {
	if node == nil {
		delete(entries, name)
		return
	}
	entries[name] = node
}

// SyncDir implements FS.
func (m *Mem) SyncDir(name string) error {
	defer m.mu.Unlock()
	if err := m.begin("syncdir", name); err != nil {
		return err
	}
	dir, err := m.lookup("syncdir", name)
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", name, err)
	}
	if !dir.isDir() {
		return &fs.PathError{Op: "syncdir", Path: name, Err: syscall.ENOTDIR}
	}
	m.commitWhere(func(c dirChange) bool { return c.touches(dir) })
	return nil
}

// commit makes the changes of one name durable.
func (m *Mem) commit(want entry) {
	m.commitWhere(func(c dirChange) bool {
		return slices.ContainsFunc(c, func(e entry) bool { return e.slot() == want.slot() })
	})
}

// commitWhere makes the wanted changes durable, and the earlier ones that they build upon.
func (m *Mem) commitWhere(want func(dirChange) bool) {
	needed := map[slot]bool{}
	chosen := make([]bool, len(m.changes))
	for i, c := range slices.Backward(m.changes) {
		chosen[i] = want(c) || slices.ContainsFunc(c, func(e entry) bool { return needed[e.slot()] })
		if chosen[i] {
			for _, e := range c {
				needed[e.slot()] = true
			}
		}
	}
	var rest []dirChange
	for i, c := range m.changes {
		if !chosen[i] {
			rest = append(rest, c)
			continue
		}
		for _, e := range c {
			set(e.dir.durable, e.name, e.node)
		}
	}
	m.changes = rest
}

func sortedNames(entries map[string]*memNode) []string { return slices.Sorted(maps.Keys(entries)) }
