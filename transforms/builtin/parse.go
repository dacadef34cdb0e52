package builtin

import (
	"context"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// Parse makes JSON objects of lines of text in a known format.
type Parse struct {
	setting.Node
	Regex    string        `yaml:"regex" oneof:"format" doc:"A regular expression (RE2) with named groups, such as (?P<level>\\w+); each becomes a field."`
	Apache   string        `yaml:"apache" oneof:"format" enum:"common|combined|vhost_combined|error" doc:"A log of the Apache HTTP server."`
	Nginx    string        `yaml:"nginx" oneof:"format" enum:"combined|main|error" doc:"A log of nginx; main is combined with the X-Forwarded-For header behind it."`
	Syslog   string        `yaml:"syslog" oneof:"format" enum:"auto|rfc3164|rfc5424" doc:"A syslog message, with or without its priority; auto tells the two formats apart."`
	KeyValue *KeyValueText `yaml:"key_value" oneof:"format" doc:"Pairs such as level=info msg=\"it works\". Without settings it is logfmt."`
	From     string        `yaml:"from" doc:"The field of a JSON record that holds the text. Default: the record's data is the text."`
	Into     string        `yaml:"into" doc:"With from, the field that the object goes to; a lone dot puts its fields into the record itself. Default: in place of the text."`
	Types    setting.Pairs `yaml:"types" items:"0..1000" doc:"With regex and key_value, the types of fields that are not text: integer, number or boolean, by the fields' names."`
	TimeZone string        `yaml:"time_zone" default:"UTC" doc:"The time zone of times that do not say theirs, such as Europe/Vienna."`
}

// parseFormat writes the members of the object that a text stands for to p.object.
type parseFormat interface {
	parse(p *parser, text []byte, r *record.Record) failure
}

// parser is the memory of one goroutine that parses texts.
type parser struct {
	object jsonObject
	number []byte // of a number that is written
	text   []byte // without its escapes
	names  nameSet
	ids    nameSet // of structured data
	params nameSet

	doc        leatjson.Doc
	root       leatjson.Field
	from, into leatjson.Field
}

// Open implements Config.
func (c *Parse) Open(context.Context, Env) (stage.Transform, error) {
	format, err := c.format()
	if err != nil {
		return nil, err
	}
	var from, into []string
	var bad *fault.Error
	merge := false
	if c.From != "" {
		if from, bad = keysAt(&c.Node, "from", "parse.bad_path", c.From); bad != nil {
			return nil, bad
		}
	}
	switch {
	case c.Into == "":
		into = from
	case c.From == "":
		return nil, invalid(&c.Node, "into", "parse.bad_path", "into says where the object goes to in a JSON record, but the record itself is the text").
			WithHint("name the field that holds the text with from")
	case c.Into == ".":
		merge = true
	default:
		if into, bad = keysAt(&c.Node, "into", "parse.bad_path", c.Into); bad != nil {
			return nil, bad
		}
	}
	if from == nil {
		return eachWith(func() *parser { return new(parser) }, func(p *parser, r *record.Record, w *writer) {
			if !w.failed(p.run(format, trimLineEnd(r.Data), r)) {
				w.data(r, p.object.buf)
			}
		}), nil
	}
	open := func() *parser {
		p := new(parser)
		p.root, p.from, p.into = p.doc.Field(), p.doc.Field(from...), p.doc.Field(into...)
		return p
	}
	return eachWith(open, func(p *parser, r *record.Record, w *writer) {
		if err := p.doc.Parse(r.Data); err != nil {
			w.fail("parse.not_json", "%v", err)
			return
		}
		text, ok := p.from.Text()
		if !ok {
			w.fail("parse.not_text", "%s is %v, not text", c.From, p.from.Kind())
			return
		}
		if w.failed(p.run(format, text, r)) {
			return
		}
		if merge {
			w.data(r, p.merged())
			return
		}
		if err := p.into.SetRaw(p.object.buf); err != nil {
			w.fail("parse.not_json", "%v", err)
			return
		}
		patched, err := p.doc.Patched()
		if err != nil {
			w.fail("parse.no_object", "%v", err)
			return
		}
		w.data(r, patched)
	}), nil
}

// run parses one text.
func (p *parser) run(format parseFormat, text []byte, r *record.Record) failure {
	p.names.reset()
	p.object.begin()
	bad := format.parse(p, text, r)
	p.object.end()
	return bad
}

// merged is the record with the members of p.object behind its own, without those of the same names. p.names has the names.
func (p *parser) merged() []byte {
	p.text = append(reuse(p.text), '{')
	for key, value := range p.root.Value().Members() {
		name, _ := key.Text()
		if p.names.has(name) {
			continue
		}
		p.text = append(append(p.text, key.Raw()...), ':')
		p.text = append(append(p.text, value.Raw()...), ',')
	}
	if members := p.object.buf[1:]; len(members) > 1 {
		return append(p.text, members...)
	}
	if n := len(p.text); p.text[n-1] == ',' {
		p.text = p.text[:n-1]
	}
	return append(p.text, '}')
}

func (c *Parse) format() (parseFormat, error) {
	zone, bad := zoneAt(&c.Node, "time_zone", "parse.bad_time_zone", c.TimeZone)
	if bad != nil {
		return nil, bad
	}
	types, typesErr := c.types()
	switch {
	case typesErr != nil:
		return nil, typesErr
	case len(types) > 0 && c.Regex == "" && c.KeyValue == nil:
		return nil, invalid(&c.Node, "types", "parse.bad_types", "types are for regex and key_value: the other formats have types of their own")
	case c.Regex != "":
		return c.regex(types)
	case c.KeyValue != nil:
		return c.KeyValue.format(types)
	case c.Apache == "error":
		return apacheErrorLog{zone}, nil
	case c.Apache != "":
		return accessLog{vhost: c.Apache == "vhost_combined", identity: true, referrer: c.Apache != "common"}, nil
	case c.Nginx == "error":
		return nginxErrorLog{zone}, nil
	case c.Nginx != "":
		return accessLog{referrer: true, forwarded: c.Nginx == "main"}, nil
	default:
		return syslogFormat{c.Syslog, zone}, nil
	}
}

// scalarType is the type of a field that is text otherwise.
type scalarType uint8

const (
	textType scalarType = iota
	integerType
	numberType
	booleanType
)

var scalarTypes = map[string]scalarType{"string": textType, "integer": integerType, "number": numberType, "boolean": booleanType}

func (c *Parse) types() (map[string]scalarType, error) {
	types := map[string]scalarType{}
	for _, pair := range c.Types {
		t, ok := scalarTypes[pair.Value]
		if !ok {
			return nil, invalid(&c.Node, "types", "parse.bad_types", "types: the type of %s is %q; it must be string, integer, number or boolean", pair.Name, pair.Value).At(pair.Place)
		}
		types[pair.Name] = t
	}
	return types, nil
}

// typed writes a value of a type under the key that was written last; an empty one that is no text is null.
func (p *parser) typed(name string, t scalarType, text []byte) failure {
	var ok bool
	var want string
	switch {
	case t == textType:
		p.object.text(text)
		return failure{}
	case len(text) == 0:
		p.object.raw("null")
		return failure{}
	case t == integerType:
		p.number, ok = leatjson.AppendNumber(p.number[:0], text, true)
		want = "an integer of 64 bits"
	case t == numberType:
		p.number, ok = leatjson.AppendNumber(p.number[:0], text, false)
		want = "a number"
	default:
		p.number, ok = appendBoolean(p.number[:0], text)
		want = "true or false"
	}
	if !ok {
		return failure{"parse.bad_value", name + ": " + excerpt(text) + " is not " + want}
	}
	p.object.raw(record.StringOf(p.number))
	return failure{}
}
