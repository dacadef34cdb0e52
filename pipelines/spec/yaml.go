package spec

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/leatstream/leat/core/fault"
)

// Bounds of a file: what no pipeline needs, and what keeps a hostile one from taking the process down.
const (
	maxFileSize = 4 << 20 // bytes
	maxDepth    = 100     // nested mappings and lists
	maxKeys     = 2_000   // keys of one mapping: the YAML parser's time grows with its square
	maxNodes    = 500_000 // values after aliases are resolved
)

// readYAML parses a file into one node for each document that is not empty. With an error it also returns what could be
// read, so that a doubled key does not hide the other errors of the file.
func readYAML(name string, src []byte) (docs []*node, err error) {
	// The parser recurses and has been seen to panic; the depth check comes first because a stack overflow cannot be
	// recovered.
	defer func() {
		if p := recover(); p != nil {
			docs, err = nil, syntaxError(name, 1, 1, fmt.Sprintf("this is not YAML that can be read (%v)", p))
		}
	}()
	if len(src) > maxFileSize {
		return nil, fault.New(fault.Permanent, "spec.too_large", "%s: the file has %d bytes; at most %d are read", name, len(src), maxFileSize)
	}
	src = bytes.TrimPrefix(src, []byte("\ufeff"))             // some editors begin files with it
	src = bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n")) // the parser miscounts the lines of others
	if line, col, ok := firstInvalid(src); ok {
		return nil, syntaxError(name, line, col, "the file is not UTF-8 text: a byte here is not part of a character, or is a control character")
	}
	tokens := lexer.Tokenize(string(src))
	if at := tooComplex(tokens); at != nil {
		return nil, fault.New(fault.Permanent, "spec.too_large", "values are nested more than %d deep, or a mapping has more than %d keys", maxDepth, maxKeys).
			At(placeOf(name, at))
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var se *yaml.SyntaxError
		if !errors.As(err, &se) || se.Token == nil {
			return nil, syntaxError(name, 1, 1, err.Error())
		}
		return nil, explain(fault.New(fault.Permanent, "spec.syntax", "%s", short(se.Message)).At(placeOf(name, se.Token)), src, se.Token)
	}
	c := converter{name: name}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		c.anchors = map[string]*node{}
		if n := c.convert(doc.Body, 0); n != nil && n.kind != nullKind {
			docs = append(docs, n)
		}
	}
	return docs, errors.Join(c.errs...)
}

func syntaxError(name string, line, col int, message string) error {
	return fault.New(fault.Permanent, "spec.syntax", "%s", message).At(fmt.Sprintf("%s:%d:%d", name, line, col))
}

func placeOf(name string, t *token.Token) string {
	return fmt.Sprintf("%s:%d:%d", name, max(t.Position.Line, 1), max(t.Position.Column, 1))
}

// explain adds a hint where YAML's own message misleads.
func explain(e *fault.Error, src []byte, t *token.Token) *fault.Error {
	line := sourceLine(src, t.Position.Line)
	switch {
	case strings.Contains(line, "${") && strings.ContainsAny(line, "{["):
		e.Hint = `inside { } and [ ] put quotes around "${…}"`
	case strings.Contains(line, "\t"):
		e.Hint = "indent with spaces, not tabs"
	case unquotedExpression.MatchString(line):
		e.Hint = `put quotes around text that begins with "!{…}"`
	case strings.Contains(e.Message, "must be specified"):
		e.Hint = "check the brackets, and inside { } and [ ] put quotes around text that has one of , [ ] { }"
	case strings.Contains(e.Message, "value is not allowed"):
		e.Hint = `check the indentation of this line and the next, and put quotes around text that contains ": "`
	}
	return e
}

// unquotedExpression is a value that begins with an expression without quotes, which YAML takes for a tag.
var unquotedExpression = regexp.MustCompile(`(^|[:,{\[-])\s*!\{`)

func firstInvalid(src []byte) (line, col int, found bool) {
	line, col = 1, 1
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRune(src[i:])
		switch {
		case r == utf8.RuneError && n <= 1, r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f:
			return line, col, true
		case r == '\n':
			line, col = line+1, 0
		}
		i += n
		col++
	}
	return 0, 0, false
}

// block is a mapping or a list that is open, by the column of its keys or dashes.
type block struct{ column, keys int }

// tooComplex returns the token at which values nest more than maxDepth deep or a block mapping has more than maxKeys keys.
// Block values nest by strictly growing columns, flow values by brackets, and a value may wear only so many anchors and tags.
func tooComplex(tokens token.Tokens) *token.Token {
	var blocks []block
	flow, wrappers := 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.AnchorType, token.TagType, token.MappingKeyType:
			if wrappers++; wrappers > maxDepth {
				return t
			}
		case token.StringType, token.IntegerType, token.MappingValueType, token.SequenceEntryType:
			wrappers = 0
		}
		column := 0
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow = max(flow-1, 0)
		case token.SequenceEntryType, token.MappingKeyType:
			column = t.Position.Column
		case token.MappingValueType:
			column = t.Position.Column
			if t.Prev != nil && t.Prev.Position.Line == t.Position.Line {
				column = t.Prev.Position.Column
			}
		}
		if column > 0 && flow == 0 {
			for len(blocks) > 0 && blocks[len(blocks)-1].column > column {
				blocks = blocks[:len(blocks)-1]
			}
			if n := len(blocks); n == 0 || blocks[n-1].column < column {
				blocks = append(blocks, block{column: column})
			}
			if blocks[len(blocks)-1].keys++; t.Type != token.MappingValueType {
				blocks[len(blocks)-1].keys = 0 // a list has any number of items
			}
		}
		if len(blocks)+flow > maxDepth || len(blocks) > 0 && blocks[len(blocks)-1].keys > maxKeys {
			return t
		}
	}
	return nil
}

// converter turns YAML's nodes into ours.
type converter struct {
	name    string
	anchors map[string]*node
	count   int
	errs    []error
}

func (c *converter) fail(t *token.Token, code, format string, args ...any) *fault.Error {
	e := fault.New(fault.Permanent, code, format, args...).At(placeOf(c.name, t))
	if len(c.errs) <= maxErrors {
		c.errs = append(c.errs, e)
	}
	return e
}

// convert returns nil after an error.
func (c *converter) convert(n ast.Node, depth int) *node {
	c.count++
	if depth > maxDepth || c.count > maxNodes {
		if len(c.errs) == 0 || c.count <= maxNodes {
			c.fail(n.GetToken(), "spec.too_large", "the document is nested more than %d deep or has more than %d values", maxDepth, maxNodes)
		}
		return nil
	}
	out := &node{place: placeOf(c.name, n.GetToken())}
	switch n := n.(type) {
	case *ast.MappingNode:
		if !c.mapping(out, n.Values, depth) {
			return nil
		}
		if n.IsFlowStyle {
			out.place = placeOf(c.name, n.Start)
		}
		return out
	case *ast.MappingValueNode:
		if !c.mapping(out, []*ast.MappingValueNode{n}, depth) {
			return nil
		}
		return out
	case *ast.SequenceNode:
		out.kind = sequenceKind
		for _, v := range n.Values {
			item := c.convert(v, depth+1)
			if item == nil {
				return nil
			}
			out.items = append(out.items, item)
		}
		return out
	case *ast.NullNode:
		return out
	case *ast.AnchorNode:
		if n.Value == nil {
			return out
		}
		v := c.convert(n.Value, depth+1)
		if v != nil && n.Name != nil {
			c.anchors[n.Name.GetToken().Value] = v
		}
		return v
	case *ast.AliasNode:
		return c.alias(n, depth)
	case *ast.TagNode:
		c.fail(n.Start, "spec.syntax", "YAML tags such as %s are not supported", quoteShort(n.Start.Value)).
			Hint = `put quotes around text that begins with "!"`
		return nil
	case *ast.LiteralNode:
		out.kind, out.text = scalarKind, n.Value.Value
		return out
	case ast.ScalarNode:
		t := n.GetToken()
		out.kind, out.text = scalarKind, t.Value
		out.plain = t.Type != token.SingleQuoteType && t.Type != token.DoubleQuoteType
		return out
	default:
		c.fail(n.GetToken(), "spec.syntax", "a %s is not supported here", strings.ToLower(n.Type().String()))
		return nil
	}
}

func (c *converter) mapping(out *node, values []*ast.MappingValueNode, depth int) bool {
	out.kind = mappingKind
	if len(values) > maxKeys {
		c.fail(values[0].Key.GetToken(), "spec.too_large", "the mapping has %d keys; at most %d are allowed", len(values), maxKeys)
		return false
	}
	seen := make(map[string]bool, len(values))
	for i, v := range values {
		t := v.Key.GetToken()
		if i == 0 {
			out.place = placeOf(c.name, t)
		}
		switch v.Key.(type) {
		case *ast.MergeKeyNode:
			c.fail(t, "spec.merge_key", "merge keys (<<) are not supported").Hint = "write the keys out; a plain alias (*name) for a whole value works"
			return false
		case *ast.MappingKeyNode:
			c.fail(t, "spec.syntax", "keys with ? are not supported").Hint = "write key: value"
			return false
		case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		default:
			c.fail(t, "spec.syntax", "a key must be text")
			return false
		}
		if seen[t.Value] {
			c.fail(t, "spec.duplicate_key", "the key %s is there twice", quoteShort(t.Value)).Hint = "remove one of them"
			continue
		}
		seen[t.Value] = true
		value := c.convert(v.Value, depth+1)
		if value == nil {
			value = &node{place: placeOf(c.name, t), broken: true} // the error is recorded; go on and find more
		}
		out.entries = append(out.entries, entry{t.Value, placeOf(c.name, t), value})
	}
	return true
}

// alias copies the anchored value, so that --set on one use does not change the others. The number of copied nodes
// counts towards maxNodes: aliases of aliases cannot grow beyond it.
func (c *converter) alias(n *ast.AliasNode, depth int) *node {
	name := n.Value.GetToken().Value
	v, ok := c.anchors[name]
	if !ok {
		c.fail(n.Start, "spec.unknown_alias", "no anchor &%s stands before this alias", name)
		return nil
	}
	copied := c.copy(v, depth)
	if copied == nil {
		c.fail(n.Start, "spec.too_large", "with its aliases resolved the document is nested more than %d deep or has more than %d values", maxDepth, maxNodes)
	}
	return copied
}

func (c *converter) copy(n *node, depth int) *node {
	c.count++
	if depth > maxDepth || c.count > maxNodes {
		return nil
	}
	out := *n
	out.entries, out.items = nil, nil
	for _, e := range n.entries {
		v := c.copy(e.value, depth+1)
		if v == nil {
			return nil
		}
		out.entries = append(out.entries, entry{e.key, e.place, v})
	}
	for _, item := range n.items {
		v := c.copy(item, depth+1)
		if v == nil {
			return nil
		}
		out.items = append(out.items, v)
	}
	return &out
}
