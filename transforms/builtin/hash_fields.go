package builtin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"

	"github.com/leatstream/leat/core/jsonpath"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// HashFields replaces values of JSON records by hashes: pseudonyms that are the same for the same value.
type HashFields struct {
	setting.Node
	Fields   []string       `yaml:"fields,required" items:"1..1000" doc:"Paths of the fields whose values become hashes. One that is missing or null stays so."`
	Key      setting.Secret `yaml:"key" doc:"A secret, of at least 16 bytes, with which hashes are HMAC-SHA-256. Without it they are plain SHA-256, which anyone can compute."`
	Bytes    int            `yaml:"bytes" default:"32" range:"8..32" doc:"How many bytes of the hash are kept."`
	Encoding string         `yaml:"encoding" default:"hex" enum:"hex|base64url" doc:"How the hash is written: in hexadecimal, or in base64url without padding."`
	Prefix   string         `yaml:"prefix" doc:"What stands before the hash, such as user_; at most 64 bytes."`
}

const (
	// minHashKey is the shortest key, in bytes: a shorter one can be guessed.
	minHashKey = 16
	// maxHashPrefix bounds the text before a hash, in bytes.
	maxHashPrefix = 64
)

// Open implements Config.
func (c *HashFields) Open(context.Context, Env) (stage.Transform, error) {
	paths, bad := fieldsAt(&c.Node, "fields", "hash_fields.bad_path", c.Fields)
	if bad == nil {
		bad = apart(&c.Node, "fields", "hash_fields.bad_path", paths...)
	}
	if bad != nil {
		return nil, bad
	}
	if len(c.Prefix) > maxHashPrefix {
		return nil, invalid(&c.Node, "prefix", "hash_fields.bad_prefix", "the prefix has %d bytes; at most %d are allowed", len(c.Prefix), maxHashPrefix)
	}
	key, err := c.Key.Resolve()
	if err != nil {
		return nil, err
	}
	if !c.Key.IsZero() && len(key) < minHashKey {
		return nil, invalid(&c.Node, "key", "hash_fields.short_key", "the key has %d bytes; at least %d are needed", len(key), minHashKey).
			WithHint("make one with: openssl rand -hex 32")
	}
	open := func() *hasher {
		h := &hasher{config: c, hash: sha256.New()}
		if key != "" {
			h.hash = hmac.New(sha256.New, []byte(key))
		}
		h.fields = fieldsOf(&h.doc, paths)
		return h
	}
	return eachWith(open, (*hasher).replace), nil
}

// hasher is the memory of one goroutine that hashes.
type hasher struct {
	config *HashFields
	doc    leatjson.Doc
	fields []leatjson.Field
	hash   hash.Hash
	sum    [sha256.Size]byte
	text   []byte
}

func (h *hasher) replace(r *record.Record, w *writer) {
	if err := h.doc.Parse(r.Data); err != nil {
		w.fail("hash_fields.not_json", "%v", err)
		return
	}
	for i, field := range h.fields {
		text, ok := scalarText(field)
		if !ok {
			w.fail("hash_fields.not_scalar", "%s is %v; only text, numbers and booleans have a hash", h.config.Fields[i], field.Kind())
			return
		}
		if text != nil {
			field.SetText(h.of(text))
		}
	}
	w.edited(r, &h.doc, "hash_fields.not_json")
}

// scalarText is the text that stands for a field's value: a string's own, that of a boolean, or the one form of a number. It is nil
// for null and a missing field; ok is false for arrays and objects.
func scalarText(field leatjson.Field) (text []byte, ok bool) {
	switch field.Kind() {
	case leatjson.Missing, leatjson.Null:
		return nil, true
	case leatjson.String:
		if text, ok = field.Text(); text == nil {
			text = []byte{}
		}
		return text, ok
	case leatjson.Number:
		return jsonpath.Canonical(field.Raw()), true
	case leatjson.Bool:
		return field.Raw(), true
	}
	return nil, false
}

// of returns the hash of text as it is written.
func (h *hasher) of(text []byte) []byte {
	h.hash.Reset()
	h.hash.Write(text) // never fails
	sum := h.hash.Sum(h.sum[:0])[:h.config.Bytes]
	h.text = append(h.text[:0], h.config.Prefix...)
	if h.config.Encoding == "hex" {
		h.text = hex.AppendEncode(h.text, sum)
	} else {
		h.text = base64.RawURLEncoding.AppendEncode(h.text, sum)
	}
	return h.text
}

// Doc implements Config.
func (c *HashFields) Doc() Doc {
	return Doc{
		Summary: "Replaces values of JSON fields by hashes, so that equal values stay equal and nobody sees them.",
		Text: "The hash is that of the value's text: of a string without quotes and escapes, of a number in one form, so that 1, 1.0 and \"1\" have the same hash.\n\n" +
			"Plain SHA-256 hides only what cannot be guessed: whoever has a list of all telephone numbers finds out which one a hash belongs to. With a `key` that needs the key. " +
			"Keep it: another key gives other hashes. Of 8 bytes, two of a thousand million different values have the same hash with a chance of 3 %, of 16 bytes never.",
		Codes: []Code{
			{"hash_fields.not_json", "The record is not JSON."},
			{"hash_fields.not_scalar", "The field is an array or an object."},
		},
		Examples: []Example{
			{
				Title: "Pseudonyms (PSEUDONYM_KEY is \"the secret of PSEUDONYM_KEY\")", Config: "fields: [ .user.email ]\nkey: { secret: env:PSEUDONYM_KEY }\nbytes: 12\nencoding: base64url\nprefix: user_\n",
				Input:  []string{`{"user":{"email":"a@example.com"},"n":1}`, `{"user":{"email":"\u0061@example.com"},"n":2}`, `{"user":null}`},
				Output: []string{`{"user":{"email":"user_3d9Wh7VcHX-GJIfN"},"n":1}`, `{"user":{"email":"user_3d9Wh7VcHX-GJIfN"},"n":2}`, `{"user":null}`},
			},
			{
				Title: "Plain hashes", Config: `{ fields: [ .id ] }`,
				Input: []string{`{"id":7}`, `{"id":[7]}`}, Output: []string{`{"id":"7902699be42c8a8e46fbbb4501726517e86b22c56a189f7625a6da49081b2451"}`}, Failed: []string{"hash_fields.not_scalar"},
			},
		},
	}
}
