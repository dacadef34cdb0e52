package builtin

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/leatstream/leat/core/jsonpath"
)

// finder makes one name of each path through the record that an expression spells out: user.id[0] becomes the name .user.id[0],
// so that only that value is looked for and made. It counts what loops do.
type finder struct{ err error }

// Visit implements ast.Visitor; it is called with the inner nodes first.
func (f *finder) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.VariableDeclaratorNode:
		f.declare(n)
	case *ast.IdentifierNode:
		if n.Value == "$env" {
			f.fail(n, "$env is not there; the record is _record")
		}
		if _, ok := metaTypes[n.Value]; ok {
			return
		}
		path := jsonpath.Path{}
		if n.Value != "_record" {
			path = jsonpath.Path{jsonpath.Key(n.Value)}
		}
		patch(node, &ast.IdentifierNode{Value: path.String()})
	case *ast.MemberNode:
		base, ok := n.Node.(*ast.IdentifierNode)
		if !ok || !strings.HasPrefix(base.Value, ".") {
			return
		}
		path, err := jsonpath.Parse(base.Value)
		if err != nil {
			return
		}
		switch p := n.Property.(type) {
		case *ast.StringNode:
			path = append(path, jsonpath.Key(p.Value))
		case *ast.IntegerNode:
			if p.Value < 0 {
				return // from the end: expr does it
			}
			path = append(path, jsonpath.Item(p.Value))
		default:
			return
		}
		patch(node, &ast.IdentifierNode{Value: path.String()})
	case *ast.ChainNode: // user?.id: a path needs no question mark
		if id, ok := n.Node.(*ast.IdentifierNode); ok {
			patch(node, id)
		}
	case *ast.CallNode:
		if id, ok := n.Callee.(*ast.IdentifierNode); ok && strings.HasPrefix(id.Value, ".") {
			f.fail(n, "there is no function "+strings.TrimPrefix(id.Value, "."))
		}
	case *ast.BuiltinNode:
		if n.Name == "reduce" { // text that doubles with each step has no bound
			f.fail(n, "there is no function reduce")
		}
	case *ast.PredicateNode:
		step := &ast.CallNode{Callee: &ast.IdentifierNode{Value: "_step"}, Arguments: []ast.Node{&ast.IdentifierNode{Value: steps}}}
		n.Node = &ast.ConditionalNode{Cond: step, Exp1: n.Node, Exp2: &ast.NilNode{}}
	}
}

// declare undoes, in the scope of a variable, that its name became a path.
func (f *finder) declare(n *ast.VariableDeclaratorNode) {
	local := jsonpath.Path{jsonpath.Key(n.Name)}.String()
	ast.Walk(&n.Expr, undo{local, n.Name})
}

type undo struct{ path, name string }

func (u undo) Visit(node *ast.Node) {
	id, ok := (*node).(*ast.IdentifierNode)
	if !ok || id.Value != u.path && !strings.HasPrefix(id.Value, u.path+".") && !strings.HasPrefix(id.Value, u.path+"[") {
		return
	}
	path, err := jsonpath.Parse(id.Value)
	if err != nil {
		return
	}
	var out ast.Node = &ast.IdentifierNode{Value: u.name}
	for _, step := range path[1:] {
		var property ast.Node = &ast.StringNode{Value: step.Key}
		if step.Item {
			property = &ast.IntegerNode{Value: step.Index}
		}
		out = &ast.ChainNode{Node: &ast.MemberNode{Node: out, Property: property, Optional: true}}
	}
	patch(node, out)
}

func patch(node *ast.Node, with ast.Node) {
	with.SetLocation((*node).Location())
	*node = with
}

func (f *finder) fail(n ast.Node, why string) {
	if f.err == nil {
		f.err = fmt.Errorf("%s, at character %d", why, n.Location().From+1)
	}
}

// users collects the names that a program takes from its environment.
type users struct{ names []string }

func (u *users) Visit(node *ast.Node) {
	id, ok := (*node).(*ast.IdentifierNode)
	if !ok {
		return
	}
	if _, meta := metaTypes[id.Value]; !meta && !strings.HasPrefix(id.Value, ".") {
		return // a variable, or a function
	}
	u.names = append(u.names, id.Value)
}
