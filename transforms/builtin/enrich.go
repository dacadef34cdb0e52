package builtin

import (
	"context"
	"errors"
	"slices"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/jsonpath"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// Enrich gives records fields of a reference, a table that it looks them up in.
type Enrich struct {
	setting.Node
	By        string           `yaml:"by,required" doc:"What is looked up: a path such as .user.id, _key, _attrs.name, _data or _shard."`
	File      string           `yaml:"file" oneof:"reference" path:"file" doc:"The reference: a file of rows."`
	S3        *S3Object        `yaml:"s3" oneof:"reference" doc:"The reference: an object in an S3-compatible store. It is read when the first record comes."`
	Format    string           `yaml:"format" default:"auto" enum:"auto|csv|json|parquet" doc:"What the reference is: CSV with a header; JSON, an array of objects or objects one after the other; Parquet. auto tells it by the name; CSV and JSON may be compressed with gzip."`
	Key       string           `yaml:"key,required" doc:"The reference's column that is compared with what is looked up."`
	Columns   []string         `yaml:"columns" items:"0..1000" doc:"Columns that records get. Default: all but the key."`
	Into      string           `yaml:"into" doc:"Path of the field that gets an object of the columns. Default: each column becomes a field of the record."`
	Overwrite bool             `yaml:"overwrite" default:"true" doc:"Replace fields that the record has already."`
	Missing   string           `yaml:"missing" default:"keep" enum:"keep|drop|fail|default" doc:"What becomes of a record that lacks what is looked up, or for which the reference has no row."`
	Default   setting.Value    `yaml:"default" doc:"The row for such records, with missing: default: an object of columns."`
	Delimiter string           `yaml:"delimiter" default:"," doc:"Between the fields of CSV: one ASCII character. For a name that ends with .tsv, a tab."`
	Infer     bool             `yaml:"infer" default:"false" doc:"Fields of CSV that look like numbers or booleans become such, empty ones null; otherwise all are text."`
	Refresh   setting.Duration `yaml:"refresh" default:"30s" range:"1s..24h" doc:"How often to look whether the reference has changed."`
	Memory    setting.Bytes    `yaml:"memory" default:"64MiB" range:"1MiB..16GiB" doc:"Most memory that the reference may take; a larger one is refused."`
}

// Open implements Config.
func (c *Enrich) Open(ctx context.Context, env Env) (stage.Transform, error) {
	t := &enrich{missing: c.Missing, overwrite: c.Overwrite}
	by, err := selectorAt(&c.Node, "by", "enrich.bad_key", []string{c.By})
	if err != nil {
		return nil, err
	}
	t.by = by
	if path, err := jsonpath.Parse(c.By); err == nil && len(path) > 0 && !slices.ContainsFunc(path, func(s jsonpath.Step) bool { return s.Item }) {
		for _, step := range path {
			t.keys = append(t.keys, step.Key)
		}
	}
	if c.Into != "" {
		if t.into, err = keysAt(&c.Node, "into", "enrich.bad_path", c.Into); err != nil {
			return nil, err
		}
	}
	if err := t.fallback(c); err != nil {
		return nil, err
	}
	lookup, failed := c.lookup(env)
	if failed != nil {
		return nil, failed
	}
	t.lookup = lookup
	if c.S3 == nil {
		if err := lookup.load(ctx); err != nil {
			f, ok := errors.AsType[*fault.Error](err)
			if !ok {
				return nil, err
			}
			if column, ok := errors.AsType[errNoColumn](err); ok {
				return nil, f.At(c.PlaceOf(column.setting))
			}
			return nil, f.At(c.PlaceOf("file"))
		}
	}
	t.lookup.follow(c.Refresh.Std())
	t.each = eachWith(func() *enriching { return new(enriching) }, t.apply)
	return t, nil
}

// lookup prepares the table.
func (c *Enrich) lookup(env Env) (*lookup, error) {
	l := &lookup{
		from: fileReference(c.File), log: env.Logger,
		format: referenceFormat{name: c.Format, infer: c.Infer},
		shape:  tableShape{key: c.Key, columns: c.Columns, whole: c.Into != "", most: int64(c.Memory)},
	}
	name, place := c.File, c.PlaceOf("file")
	if c.S3 != nil {
		object, err := c.S3.open(int64(c.Memory))
		if err != nil {
			return nil, err
		}
		l.from, name, place = object, c.S3.Key, c.S3.PlaceOf("key")
	}
	if c.Format == "auto" {
		if l.format.name = formatOf(name); l.format.name == "" {
			return nil, fault.New(fault.Permanent, "enrich.unknown_format", "the name %s does not tell the format of the reference", name).
				At(place).WithHint("write format: csv, json or parquet")
		}
	}
	delimiter := c.Delimiter
	if !c.Has("delimiter") && isTabbed(name) {
		delimiter = "\t"
	}
	character, bad := csvDelimiter(&c.Node, "enrich.bad_delimiter", delimiter)
	if bad != nil {
		return nil, bad
	}
	if character == '"' {
		return nil, invalid(&c.Node, "delimiter", "enrich.bad_delimiter", "the delimiter is the quote")
	}
	l.format.delimiter = rune(character)
	return l, nil
}

// fallback makes the row for records that have none.
func (t *enrich) fallback(c *Enrich) error {
	switch {
	case c.Missing == "default" && c.Default == nil:
		return invalid(&c.Node, "missing", "enrich.bad_default", "missing: default needs the key default, the row for records that have none")
	case c.Missing != "default" && c.Default != nil:
		return invalid(&c.Node, "default", "enrich.bad_default", "default is not used: it needs missing: default")
	case c.Default == nil:
		return nil
	}
	v, err := leatjson.Get(c.Default)
	if err != nil || v.Kind() != leatjson.Object {
		return invalid(&c.Node, "default", "enrich.bad_default", "default is not an object of columns")
	}
	t.row = &table{columns: []string{""}, rows: map[string][]leatjson.Value{"": {v}}}
	if c.Into != "" {
		return nil
	}
	t.row.columns, t.row.rows[""] = nil, nil
	for k, v := range v.Members() {
		name, _ := k.AppendText(nil)
		t.row.columns, t.row.rows[""] = append(t.row.columns, string(name)), append(t.row.rows[""], v)
	}
	return nil
}

type enrich struct {
	by        *selector
	keys      []string // the path that by is, if it is one of keys alone
	into      []string
	overwrite bool
	missing   string
	row       *table // of one row, for records that have none
	lookup    *lookup
	each      stage.Transform
}

// Apply implements stage.Transform.
func (t *enrich) Apply(ctx context.Context, in *record.Batch, out *stage.Output) error {
	return t.each.Apply(ctx, in, out)
}

// Close implements stage.Transform.
func (t *enrich) Close(ctx context.Context) error {
	t.lookup.close()
	if object, ok := t.lookup.from.(*objectReference); ok {
		object.client.Close()
	}
	return t.each.Close(ctx)
}

// enriching is the memory of one goroutine: a document with the fields that a table, and the row for records that have none, set.
type enriching struct {
	selected
	table    *table
	doc      leatjson.Doc
	key      leatjson.Field
	columns  []leatjson.Field
	defaults []leatjson.Field
}

// prepare names the fields, unless the table is that of the record before.
func (e *enriching) prepare(t *enrich, table *table) {
	if e.table == table {
		return
	}
	e.table, e.doc = table, leatjson.Doc{}
	e.key = e.doc.Field(t.keys...)
	fields := func(names []string) (all []leatjson.Field) {
		for _, name := range names {
			path := t.into
			if path == nil {
				path = []string{name}
			}
			all = append(all, e.doc.Field(path...))
		}
		return all
	}
	e.columns = fields(table.columns)
	if t.row != nil {
		e.defaults = fields(t.row.columns)
	}
}

func (t *enrich) apply(e *enriching, r *record.Record, w *writer) {
	table, err := t.lookup.table(w.ctx)
	if err != nil {
		w.abort(err)
		return
	}
	e.prepare(t, table)
	key, ok, parsed := "", false, false
	if t.keys != nil { // one pass finds the key and what is to be set
		if err := e.doc.Parse(r.Data); err != nil {
			w.fail("enrich.not_json", "%v", err)
			return
		}
		parsed = true
		key, ok = keyText(e.key)
	} else {
		missing, fail := e.look(t.by, r)
		if fail.code != "" {
			w.fail("enrich"+fail.code, "%s", fail.reason)
			return
		}
		if ok = missing == ""; ok {
			_, key, _ = e.part(t.by, 0, r)
		}
	}
	row, found := table.rows[key]
	fields := e.columns
	switch {
	case ok && found:
	case t.missing == "default":
		row, fields = t.row.rows[""], e.defaults
	case !ok || t.missing != "fail":
		w.missing(t.missing, "enrich.no_key", t.by.parts[0].text)
		return
	default:
		w.fail("enrich.no_row", "the reference has no row for %s", excerpt([]byte(key)))
		return
	}
	if !parsed {
		if err := e.doc.Parse(r.Data); err != nil {
			w.fail("enrich.not_json", "%v", err)
			return
		}
	}
	for i, v := range row {
		if field := fields[i]; v.Exists() && (t.overwrite || !field.Exists()) {
			field.SetValue(v)
		}
	}
	w.edited(r, &e.doc, "enrich.no_object")
}

// keyText is the text that stands for a field as a key, as in core/jsonpath.
func keyText(f leatjson.Field) (text string, ok bool) {
	b, scalar := scalarText(f)
	if !scalar { // an array or an object is what it is written as
		b = f.Raw()
	}
	return record.StringOf(b), b != nil
}

// Doc implements Config.
func (c *Enrich) Doc() Doc {
	files := map[string]string{"airports.csv": "code,city,elevation\nVIE,Vienna,183\nINN,Innsbruck,581\n"}
	return Doc{
		Summary: "Gives records fields of a reference: a table, in CSV, JSON or Parquet, that it looks them up in.",
		Text: "The reference is held in memory and read again when it has changed; a new one that cannot be read is said in the log, and records go on being enriched from the one before. " +
			"Rows without a key are passed over; of rows with the same key the last counts. Parquet may be compressed with snappy, gzip or zstd; its columns that are lists, maps or groups are passed over; times become text in RFC 3339, decimals numbers with all their digits. " +
			"Bytes of the record that do not change stay as they are.\n\n`by` names what is looked up: " + selectorText,
		Codes: []Code{
			{"enrich.not_json", "The record is not one JSON value."},
			{"enrich.no_key", "With `missing: fail`: the record lacks what is looked up."},
			{"enrich.no_row", "With `missing: fail`: the reference has no such row."},
			{"enrich.no_object", "The record, or what lies on the way to the field, is not an object."},
		},
		Examples: []Example{
			{
				Title: "Two columns of a row, and a row for the others", Config: "by: .to\nfile: airports.csv\nkey: code\ninfer: true\ninto: .airport\nmissing: default\ndefault: { city: unknown }\n", Files: files,
				Input:  []string{`{"to":"VIE"}`, `{"to":"INN", "airport":1}`, `{"to":"XXX"}`, `text`},
				Output: []string{`{"to":"VIE","airport":{"city":"Vienna","elevation":183}}`, `{"to":"INN", "airport":{"city":"Innsbruck","elevation":581}}`, `{"to":"XXX","airport":{"city":"unknown"}}`},
				Failed: []string{"enrich.not_json"},
			},
			{
				Title: "Fields of the record itself, and no record without them", Config: "{ by: .to, file: airports.csv, key: code, columns: [ city ], missing: drop }", Files: files,
				Input:  []string{`{"to":"VIE"}`, `{"to":"XXX"}`},
				Output: []string{`{"to":"VIE","city":"Vienna"}`}, Dropped: 1,
			},
		},
	}
}
