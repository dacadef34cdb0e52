package spec

import (
	"strings"

	"github.com/leatstream/leat/core/fault"
)

// maxScalar is the most bytes of a value after substitution.
const maxScalar = 1 << 20

// substitute replaces ${…} in every scalar below n.
func substitute(n *node, env func(string) (string, bool), errs *Errors) {
	for _, e := range n.entries {
		substitute(e.value, env, errs)
	}
	for _, item := range n.items {
		substitute(item, env, errs)
	}
	if n.kind != scalarKind || n.free || !strings.Contains(n.text, "$") {
		return
	}
	text, replaced, err := expand(n.text, env)
	if err != nil {
		errs.add(err.At(n.place))
		n.broken = true
		return
	}
	n.text, n.free = text, replaced
}

// expand replaces the references in s. replaced reports whether there was one; an escape is none.
func expand(s string, env func(string) (string, bool)) (out string, replaced bool, bad *fault.Error) {
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			break
		}
		if i > 0 && s[i-1] == '$' { // $${ is the text ${
			b.WriteString(s[:i-1])
			b.WriteString("${")
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		reference, rest, ok := strings.Cut(s[i+2:], "}")
		if !ok {
			return "", false, substitutionError("%s has no closing }", quoteShort(s[i:])).WithHint("write $${ for a literal ${")
		}
		value, err := lookup(reference, env)
		if err != nil {
			return "", false, err
		}
		b.WriteString(value)
		if b.Len() > maxScalar {
			return "", false, substitutionError("the value is longer than %d bytes after substitution", maxScalar)
		}
		s, replaced = rest, true
	}
	return b.String(), replaced, nil
}

func substitutionError(format string, args ...any) *fault.Error {
	return fault.New(fault.Permanent, "spec.substitution", format, args...)
}

func lookup(reference string, env func(string) (string, bool)) (string, *fault.Error) {
	name, operator, text := reference, "", ""
	if i := strings.IndexByte(reference, ':'); i >= 0 {
		name = reference[:i]
		operator, text = reference[i:min(i+2, len(reference))], reference[min(i+2, len(reference)):]
	}
	if !isVariable(name) {
		return "", substitutionError("${%s}: %s is not the name of an environment variable", reference, quoteShort(name)).
			WithHint("write ${NAME}, ${NAME:-default} or ${NAME:?message}; $${ is a literal ${")
	}
	value, set := env(name)
	switch operator {
	case "":
		if !set {
			return "", substitutionError("the environment variable %s is not set", name).WithHint("set it, or write ${%s:-default}", name)
		}
	case ":-":
		if value == "" {
			return text, nil
		}
	case ":?":
		if value == "" {
			if text == "" {
				text = "is not set or empty"
			}
			return "", substitutionError("the environment variable %s: %s", name, text)
		}
	default:
		return "", substitutionError("${%s}: unknown operator %q", reference, operator).WithHint("only :- and :? are known")
	}
	if strings.ContainsRune(value, 0) {
		return "", substitutionError("the environment variable %s holds a NUL", name)
	}
	return strings.ToValidUTF8(value, "\uFFFD"), nil
}

func isVariable(s string) bool {
	for i, r := range s {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != "" && len(s) <= 256
}
