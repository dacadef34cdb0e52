// Package setting has what the configuration structs of pipeline files are made of: sizes, durations, secrets, free-form
// values, and the place in the file that a struct came from. pipelines/spec fills them.
//
// Whoever takes a configuration declares it as a struct that embeds [Node] and whose fields have the tags that
// pipelines/spec/types.go lists; the parser, the defaults, the checks, the JSON schema and the reference pages all read
// these tags, so that they cannot differ.
package setting

// Node remembers where a struct stands in the pipeline file, and where each key that was given stands.
type Node struct {
	place  string
	fields map[string]string
	file   []byte // its content; nil if it is not known
}

// At returns the node of a struct at place (file:line:column), whose keys' values stand at fields.
func At(place string, fields map[string]string) Node { return Node{place: place, fields: fields} }

// Place is where the struct begins, as file:line:column; empty for a struct that only has defaults.
func (n *Node) Place() string { return n.place }

// PlaceOf is where the value of key stands, or the place of the struct if the key was not given.
func (n *Node) PlaceOf(key string) string {
	if p, ok := n.fields[key]; ok {
		return p
	}
	return n.place
}

// Has reports whether the file gives key, as opposed to its default.
func (n *Node) Has(key string) bool {
	_, ok := n.fields[key]
	return ok
}
