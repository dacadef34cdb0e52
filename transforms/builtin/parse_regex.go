package builtin

import (
	"regexp"

	"github.com/leatstream/leat/core/record"
)

// maxRegex bounds the text of a regular expression, in bytes.
const maxRegex = 8 << 10

// regexFormat is a regular expression whose named groups are fields.
type regexFormat struct {
	re     *regexp.Regexp
	groups []regexGroup
}

type regexGroup struct {
	name  string
	index int
	typ   scalarType
}

func (c *Parse) regex(types map[string]scalarType) (parseFormat, error) {
	if len(c.Regex) > maxRegex {
		return nil, invalid(&c.Node, "regex", "parse.bad_regex", "the regular expression has %d bytes; at most %d are allowed", len(c.Regex), maxRegex)
	}
	re, err := regexp.Compile(c.Regex)
	if err != nil {
		return nil, invalid(&c.Node, "regex", "parse.bad_regex", "regex: %w", err).WithHint("the syntax is that of RE2: there are no look-arounds and no references to groups")
	}
	f := &regexFormat{re: re}
	seen := map[string]bool{}
	for i, name := range re.SubexpNames() {
		if name == "" {
			continue
		}
		if seen[name] {
			return nil, invalid(&c.Node, "regex", "parse.bad_regex", "two groups of the regular expression are named %s", name)
		}
		seen[name] = true
		f.groups = append(f.groups, regexGroup{name, i, types[name]})
	}
	if len(f.groups) == 0 {
		return nil, invalid(&c.Node, "regex", "parse.bad_regex", "the regular expression has no named groups").WithHint(`write (?P<name>…) around what is to become a field`)
	}
	for _, pair := range c.Types {
		if !seen[pair.Name] {
			return nil, invalid(&c.Node, "types", "parse.bad_types", "types: no group of the regular expression is named %s", pair.Name).At(pair.Place)
		}
	}
	return f, nil
}

func (f *regexFormat) parse(p *parser, text []byte, _ *record.Record) failure {
	at := f.re.FindSubmatchIndex(text)
	if at == nil {
		return failure{"parse.no_match", "the regular expression does not match " + excerpt(text)}
	}
	for i := range f.groups {
		g := &f.groups[i]
		p.names.add(g.name)
		p.object.key(g.name)
		start, end := at[2*g.index], at[2*g.index+1]
		if start < 0 { // the match is without it
			p.object.raw("null")
			continue
		}
		if bad := p.typed(g.name, g.typ, text[start:end]); bad.code != "" {
			return bad
		}
	}
	return failure{}
}
