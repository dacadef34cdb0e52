package view

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/leatstream/leat/core/record"
)

// Payload is what a record carries. In JSON its data is the text "data", or "base64" if it is not UTF-8.
type Payload struct {
	Key  string
	Data []byte
	// Partition holds partition keys for prefixes, Attrs the record's attributes.
	Partition, Attrs record.Attrs
}

type payloadJSON struct {
	Key       string     `json:"key"`
	Data      *string    `json:"data,omitempty"`
	Base64    *string    `json:"base64,omitempty"`
	Partition attributes `json:"partition,omitempty"`
	Attrs     attributes `json:"attrs,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (p *Payload) MarshalJSON() ([]byte, error) {
	j := payloadJSON{Key: p.Key, Partition: attributes(p.Partition), Attrs: attributes(p.Attrs)}
	var text string
	if utf8.Valid(p.Data) {
		text = string(p.Data)
		j.Data = &text
	} else {
		text = base64.StdEncoding.EncodeToString(p.Data)
		j.Base64 = &text
	}
	return marshal(&j)
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Payload) UnmarshalJSON(b []byte) error {
	var j payloadJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*p = Payload{Key: j.Key, Partition: record.Attrs(j.Partition), Attrs: record.Attrs(j.Attrs)}
	if j.Base64 != nil {
		data, err := base64.StdEncoding.DecodeString(*j.Base64)
		p.Data = data
		return err
	}
	if j.Data != nil {
		p.Data = []byte(*j.Data)
	}
	return nil
}

// Equal reports whether two payloads are the same, whatever the order of their attributes.
func (p *Payload) Equal(q *Payload) bool {
	return p.Key == q.Key && bytes.Equal(p.Data, q.Data) && same(p.Partition, q.Partition) && same(p.Attrs, q.Attrs)
}

func same(a, b record.Attrs) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(x record.Attr) bool {
		v, ok := b.Get(x.Name)
		return !ok || v != x.Value
	})
}

// attributes are attributes as a JSON object in their order.
type attributes record.Attrs

// MarshalJSON implements json.Marshaler.
func (a attributes) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, x := range a {
		if i > 0 {
			b = append(b, ',')
		}
		for k, s := range []string{x.Name, x.Value} {
			text, err := marshal(s)
			if err != nil {
				return nil, err
			}
			if b = append(b, text...); k == 0 {
				b = append(b, ':')
			}
		}
	}
	return append(b, '}'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *attributes) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("attributes are an object: %v", err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value string
		if err := d.Decode(&value); err != nil {
			return err
		}
		*a = append(*a, record.Attr{Name: name.(string), Value: value})
	}
	return nil
}

// marshal is json.Marshal, but <, > and & stay what they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
