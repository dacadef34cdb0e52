package jq

import "github.com/leatstream/leat/core/jsonpath"

// Path looks up one plain path, without gojq. It is for one goroutine.
type Path struct {
	set  *jsonpath.Set
	scan jsonpath.Scan
}

// ParsePath compiles text, which must be a plain path.
func ParsePath(text string) (*Path, error) {
	path, err := jsonpath.Parse(text)
	if err != nil {
		return nil, err
	}
	return &Path{set: jsonpath.NewSet(path)}, nil
}

// Find returns the scalar that the path leads to, as [Partitioner.Eval] gives it, but of any length; an index into text
// finds nothing. The value may share data's memory. ok is false if there is none, or data is not one JSON value.
func (p *Path) Find(data []byte) (value []byte, ok bool) {
	if _, ok := p.scan.Run(p.set, data); !ok {
		return nil, false
	}
	return p.scan.Values[0].Scalar()
}
