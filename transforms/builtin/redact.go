package builtin

import (
	"context"
	"regexp"
	"strings"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
)

// Redact takes out of records what nobody should see.
type Redact struct {
	setting.Node
	Fields      []string `yaml:"fields" items:"0..1000" doc:"Paths of fields whose values are replaced as a whole, whatever they are. One that is missing or null stays so."`
	Detect      []string `yaml:"detect" items:"0..100" doc:"Kinds of text that are found by themselves: email, credit_card, ipv4, ipv6, mac, iban, us_ssn, jwt, aws_access_key_id."`
	Patterns    []string `yaml:"patterns" items:"0..100" doc:"Regular expressions (RE2); what they match is replaced."`
	Within      []string `yaml:"within" items:"0..1000" doc:"Paths of the fields that detect and patterns look through, with all that is in them. Default: the whole record."`
	Replacement string   `yaml:"replacement" default:"[redacted]" doc:"What comes in place of what is redacted; at most 1 KiB."`
	KeepLast    int      `yaml:"keep_last" default:"0" range:"0..16" doc:"Above 0: a star comes in place of each letter and digit but the last so many, of which there are never more than half; the replacement is for values that are no text or number."`
	Format      string   `yaml:"format" default:"json" enum:"json|text" doc:"Whether a record is JSON, whose texts, keys and numbers are looked through, or text as a whole."`
}

// maxReplacement bounds what comes in place of a match, in bytes.
const maxReplacement = 1 << 10

// Open implements Config.
func (c *Redact) Open(context.Context, Env) (stage.Transform, error) {
	finds, err := c.finder()
	if err != nil {
		return nil, err
	}
	fields, bad := c.paths("fields", c.Fields)
	if bad != nil {
		return nil, bad
	}
	within, bad := c.paths("within", c.Within)
	if bad != nil {
		return nil, bad
	}
	looks := len(c.Detect)+len(c.Patterns) > 0
	switch {
	case len(c.Replacement) > maxReplacement:
		return nil, invalid(&c.Node, "replacement", "redact.bad_replacement", "the replacement has %d bytes; at most %d are allowed", len(c.Replacement), maxReplacement)
	case !looks && len(fields) == 0:
		return nil, invalid(&c.Node, "fields", "redact.nothing", "redact needs fields, detect or patterns")
	case !looks && len(within) > 0:
		return nil, invalid(&c.Node, "within", "redact.nothing", "within says where detect and patterns look, but there are neither")
	case c.Format == "text" && len(fields)+len(within) > 0:
		return nil, invalid(&c.Node, "format", "redact.no_fields", "a record that is text has no fields")
	}
	open := func() *redactor {
		x := &redactor{config: c, textFinder: finds, looks: looks}
		x.root = x.one.Field()
		x.fields, x.within = fieldsOf(&x.doc, fields), fieldsOf(&x.doc, within)
		return x
	}
	if c.Format == "text" {
		return eachWith(open, func(x *redactor, r *record.Record, w *writer) {
			if !x.find(r.Data, classesOf(r.Data)) {
				w.keep()
				return
			}
			w.scratch = x.appendRedacted(reuse(w.scratch), r.Data)
			w.data(r, w.scratch)
		}), nil
	}
	return eachWith(open, (*redactor).redact), nil
}

func (c *Redact) paths(key string, texts []string) (paths [][]string, err *fault.Error) {
	if paths, err = fieldsAt(&c.Node, key, "redact.bad_path", texts); err == nil {
		err = apart(&c.Node, key, "redact.bad_path", paths...)
	}
	return paths, err
}

// textFinder finds what detectors and patterns find.
type textFinder struct {
	// wanted are indices into detectors: those that may find something in a text with such classes of bytes.
	wanted   [allNeeds + 1][]int
	patterns []*regexp.Regexp
}

func (c *Redact) finder() (*textFinder, error) {
	f := &textFinder{}
	for _, name := range c.Detect {
		found := false
		var names []string
		for i := range detectors {
			names = append(names, detectors[i].name)
			if detectors[i].name == name {
				found = true
				for has := range needs(len(f.wanted)) {
					if detectors[i].needs&^has == 0 {
						f.wanted[has] = append(f.wanted[has], i)
					}
				}
			}
		}
		if !found {
			return nil, invalid(&c.Node, "detect", "redact.unknown_detector", "detect: there is no %q", name).WithHint("there are %s", strings.Join(names, ", "))
		}
	}
	for _, text := range c.Patterns {
		if len(text) > maxRegex {
			return nil, invalid(&c.Node, "patterns", "redact.bad_pattern", "a pattern has %d bytes; at most %d are allowed", len(text), maxRegex)
		}
		re, err := regexp.Compile(text)
		if err != nil {
			return nil, invalid(&c.Node, "patterns", "redact.bad_pattern", "patterns: %w", err)
		}
		f.patterns = append(f.patterns, re)
	}
	return f, nil
}

// Doc implements Config.
func (c *Redact) Doc() Doc {
	return Doc{
		Summary: "Takes out what nobody should see: fields, and e-mail addresses, card numbers and the like in any text.",
		Text: "In a JSON record every text, key and number is looked through, a text without its escapes: an address is found however it is written. A number with something to redact becomes text. " +
			"What is not redacted stays as it is.\n\n" +
			"| detect | finds |\n|---|---|\n" +
			"| `email` | addresses whose domain has a dot |\n" +
			"| `credit_card` | 13 to 19 digits, also with spaces or dashes, with the right check digit (Luhn) |\n" +
			"| `ipv4`, `ipv6` | addresses, also with a port |\n" +
			"| `mac` | six pairs of hexadecimal digits with colons or dashes |\n" +
			"| `iban` | account numbers in capital letters, also with spaces, with the right check digits |\n" +
			"| `us_ssn` | social security numbers of the United States with dashes |\n" +
			"| `jwt` | JSON web tokens |\n" +
			"| `aws_access_key_id` | AKIA… and ASIA… |\n\n" +
			"The partition key and the attributes of a record are not looked through. `keep_last` shows how long a text is and where its dots and dashes are.",
		Codes: []Code{
			{"redact.not_json", "The record is not JSON."},
			{"redact.repeated_key", "A key that leads to one of `fields` or `within` is there twice in its object: readers may take the first or the last."},
		},
		Examples: []Example{
			{
				Title: "Fields, and what is found", Config: "fields: [ .password, .user.birth ]\ndetect: [ email, credit_card, ipv4 ]\npatterns: [ 'order \\d+' ]\n",
				Input: []string{
					`{"password":"x","user":{"birth":{"year":1990},"id":7}, "text":"b\u006fb@example.com paid order 77 from 10.0.0.1 with 4111 1111 1111 1111"}`,
					`{"card": 4111111111111111, "not one": 4111111111111112, "a@b.example": 1.0}`, `text`,
				},
				Output: []string{
					`{"password":"[redacted]","user":{"birth":"[redacted]","id":7}, "text":"[redacted] paid [redacted] from [redacted] with [redacted]"}`,
					`{"card": "[redacted]", "not one": 4111111111111112, "[redacted]": 1.0}`,
				},
				Failed: []string{"redact.not_json"},
			},
			{
				Title: "All but the last four", Config: `{ fields: [ .phone ], detect: [ credit_card ], within: [ .payment ], keep_last: 4 }`,
				Input:  []string{`{"phone":"+43 1 555 01 23","payment":["4111-1111-1111-1111"],"text":"4111-1111-1111-1111"}`},
				Output: []string{`{"phone":"+** * *** 01 23","payment":["****-****-****-1111"],"text":"4111-1111-1111-1111"}`},
			},
			{Title: "Records that are text", Config: `{ detect: [ ipv4, ipv6 ], format: text, replacement: "IP" }`, Input: []string{`10.0.0.1 - [2001:db8::1]:443 "GET /"`, "nothing"}, Output: []string{`IP - [IP]:443 "GET /"`, "nothing"}},
		},
	}
}
