package jsonpath

// Set is some paths, compiled. It does not change, and serves any number of scans.
type Set struct {
	root *step // nil without paths
	n    int
}

// NewSet compiles paths.
func NewSet(paths ...Path) *Set {
	s := &Set{n: len(paths)}
	for i, p := range paths {
		if s.root == nil {
			s.root = &step{}
		}
		s.root.insert(p, i)
	}
	return s
}

// step is one node of the tree of all paths.
type step struct {
	keys  []keyStep
	items []itemStep
	ends  []int // paths that end here
	all   []int // paths that end here or below
}

type keyStep struct {
	name string
	next *step
}

type itemStep struct {
	index int
	next  *step
}

// insert adds path id.
func (n *step) insert(path Path, id int) {
	n.all = append(n.all, id)
	if len(path) == 0 {
		n.ends = append(n.ends, id)
		return
	}
	var next *step
	if at := path[0]; at.Item {
		if next = n.item(at.Index); next == nil {
			next = &step{}
			n.items = append(n.items, itemStep{at.Index, next})
		}
	} else if next = n.key([]byte(at.Key)); next == nil {
		next = &step{}
		n.keys = append(n.keys, keyStep{at.Key, next})
	}
	next.insert(path[1:], id)
}

func (n *step) key(name []byte) *step {
	for i := range n.keys {
		if n.keys[i].name == string(name) {
			return n.keys[i].next
		}
	}
	return nil
}

func (n *step) item(index int) *step {
	for i := range n.items {
		if n.items[i].index == index {
			return n.items[i].next
		}
	}
	return nil
}
