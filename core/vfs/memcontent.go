package vfs

// pageSize, in bytes, is the granularity of a content's memory: an allocated but unwritten file costs nothing.
const pageSize = 4096

// content is the bytes of a file. Pages that are missing are zeros, and so are bytes of pages beyond size.
type content struct {
	size  int64
	pages map[int64]*[pageSize]byte
}

func newContent() content { return content{pages: map[int64]*[pageSize]byte{}} }

func (c *content) readAt(p []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	p = p[:min(int64(len(p)), c.size-off)]
	for done := 0; done < len(p); {
		at := off + int64(done)
		rest := p[done:]
		if page := c.pages[at/pageSize]; page != nil {
			done += copy(rest, page[at%pageSize:])
			continue
		}
		n := min(len(rest), int(pageSize-at%pageSize))
		clear(rest[:n])
		done += n
	}
	return len(p)
}

// put stores bytes without regard to the size.
func (c *content) put(p []byte, off int64) {
	for len(p) > 0 {
		page := c.pages[off/pageSize]
		if page == nil {
			page = new([pageSize]byte)
			c.pages[off/pageSize] = page
		}
		n := copy(page[off%pageSize:], p)
		p = p[n:]
		off += int64(n)
	}
}

// apply does what w says. A write's size below the present one cuts the file there.
func (c *content) apply(w write) {
	c.put(w.data, w.off)
	c.resize(w.size)
}

func (c *content) resize(size int64) {
	if size < c.size {
		c.cut(size)
	}
	c.size = size
}

// cut makes everything from off on zeros.
func (c *content) cut(off int64) {
	for number, page := range c.pages {
		start := number * pageSize
		switch {
		case start >= off:
			delete(c.pages, number)
		case start+pageSize > off:
			clear(page[off-start:])
		}
	}
}

func (c *content) clone() content {
	pages := make(map[int64]*[pageSize]byte, len(c.pages))
	for number, page := range c.pages {
		pages[number] = new(*page)
	}
	return content{c.size, pages}
}
