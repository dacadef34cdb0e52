package vfs

import (
	"math/rand/v2"
	"slices"
)

// sectorSize, in bytes, is what a disk writes whole or not at all.
const sectorSize = 512

// Crash returns the file system as a disk might hold it after the power failed now. What was synced is there. The rest
// survives by chance, unsyncedPercent of 100, and in this form:
//
//   - Each 512-byte sector of a file shows some prefix of the writes to it since the last Sync, so a write can be torn and
//     a later one survive without an earlier one.
//   - The size of a file is one that it had since the last Sync, independent of its bytes; bytes that never arrived are
//     zeros.
//   - Each create, rename and remove since the last SyncDir happened or not, a rename as a whole. One that involves a name
//     of an earlier one that did not happen did not happen either.
//
// The receiver does not change, and what still has files of it open goes on in the old world. Locks are free in the
// new one. The same file system, seed and percentage give the same result.
func (m *Mem) Crash(rng *rand.Rand, unsyncedPercent int) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	survives := func() bool { return rng.IntN(100) < unsyncedPercent }

	// The changes that survive are applied to copies of the durable entries.
	entries := map[*memNode]map[string]*memNode{}
	entriesOf := func(dir *memNode) map[string]*memNode {
		if entries[dir] == nil {
			entries[dir] = make(map[string]*memNode, len(dir.durable))
			for name, node := range dir.durable {
				entries[dir][name] = node
			}
		}
		return entries[dir]
	}
	lost := map[slot]bool{}
	for _, c := range m.changes {
		if slices.ContainsFunc(c, func(e entry) bool { return lost[e.slot()] }) || !survives() {
			for _, e := range c {
				lost[e.slot()] = true
			}
			continue
		}
		for _, e := range c {
			set(entriesOf(e.dir), e.name, e.node)
		}
	}

	after := NewMem()
	after.capacity = m.capacity
	copies := map[*memNode]*memNode{}
	var rebuild func(old *memNode) *memNode
	rebuild = func(old *memNode) *memNode {
		if node := copies[old]; node != nil {
			node.links++
			return node
		}
		var node *memNode
		if old.isDir() {
			node = newMemDir()
			list := entriesOf(old)
			for _, name := range sortedNames(list) {
				child := rebuild(list[name])
				node.entries[name] = child
				node.durable[name] = child
			}
		} else {
			data := old.tear(survives)
			node = &memNode{data: data, synced: data.clone(), links: 1}
			after.used += data.size
		}
		node.modTime = old.modTime
		copies[old] = node
		return node
	}
	after.root = rebuild(m.root)
	return after
}

// tear returns the bytes of a file after a power failure.
func (n *memNode) tear(survives func() bool) content {
	data := n.synced.clone()
	lost := map[int64]bool{} // sectors whose later writes cannot be there
	sizeLost := false
	size := data.size // the size before the write, as processes saw it
	for _, w := range n.pending {
		if w.size != size {
			size = w.size
			sizeLost = sizeLost || !survives()
			if !sizeLost {
				data.resize(w.size)
			}
		}
		for off := w.off; off < w.off+int64(len(w.data)); {
			sector := off / sectorSize
			end := min((sector+1)*sectorSize, w.off+int64(len(w.data)))
			lost[sector] = lost[sector] || !survives()
			if !lost[sector] {
				data.put(w.data[off-w.off:end-w.off], off)
			}
			off = end
		}
	}
	data.cut(data.size)
	return data
}

// Kill returns the file system as the next process finds it after this one was killed and the machine ran on: everything
// that was written is there, what was not synced is still not durable, and locks are free. The receiver does not change,
// and what still has files of it open goes on in the old world.
func (m *Mem) Kill() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := NewMem()
	after.capacity = m.capacity
	copies := map[*memNode]*memNode{}
	var rebuild func(old *memNode) *memNode
	rebuild = func(old *memNode) *memNode {
		if old == nil {
			return nil
		}
		if node := copies[old]; node != nil {
			return node
		}
		node := &memNode{modTime: old.modTime, links: old.links}
		copies[old] = node
		if !old.isDir() {
			node.data, node.synced = old.data.clone(), old.synced.clone()
			node.pending, node.written = slices.Clone(old.pending), old.written
			if node.links > 0 {
				after.used += node.data.size
			}
			return node
		}
		node.entries, node.durable = map[string]*memNode{}, map[string]*memNode{}
		for name, child := range old.entries {
			node.entries[name] = rebuild(child)
		}
		for name, child := range old.durable {
			node.durable[name] = rebuild(child)
		}
		return node
	}
	after.root = rebuild(m.root)
	for _, c := range m.changes {
		moved := make(dirChange, len(c))
		for i, e := range c {
			moved[i] = entry{rebuild(e.dir), e.name, rebuild(e.node)}
		}
		after.changes = append(after.changes, moved)
	}
	return after
}
