package jq

import (
	"errors"
	"fmt"

	"github.com/itchyny/gojq"
)

// Path looks up one plain path, without gojq. It is for one goroutine.
type Path struct {
	root step
	scan scan
}

// ParsePath compiles text, which must be a plain path of at most [MaxQuery] bytes.
func ParsePath(text string) (*Path, error) {
	if len(text) > MaxQuery {
		return nil, fmt.Errorf("the path has %d bytes; at most %d are allowed", len(text), MaxQuery)
	}
	parsed, err := gojq.Parse(text)
	if err != nil {
		return nil, err
	}
	steps, ok := pathOf(parsed)
	if !ok {
		return nil, errors.New("want a path of keys and indices from 0, such as .user.id or .tags[0]")
	}
	p := &Path{scan: scan{spans: make([]span, 1)}}
	p.root.insert(steps, 0)
	return p, nil
}

// Find returns the scalar that the path leads to, as [Partitioner.Eval] gives it, but of any length; an index into text
// finds nothing. The value may share data's memory. ok is false if there is none, or data is not one JSON value.
func (p *Path) Find(data []byte) (value []byte, ok bool) {
	if _, ok := p.scan.run(data, &p.root); !ok || p.scan.spans[0].kind == elsewhere {
		return nil, false
	}
	value, err := p.scan.scalar(p.scan.spans[0])
	return value, err == nil
}
