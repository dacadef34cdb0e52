package leat

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// Config has the pipeline file's config decoded into target, a pointer to a struct with JSON tags, before the first
// record. An unknown key is an error. If target has a method Validate() error, it is called afterwards and may also prepare what
// the transform needs; its error keeps the pipeline from starting and is shown to the user. Call Config once, in init.
func Config(target any) {
	if self.configure != nil {
		panic("leat.Config was called twice")
	}
	self.configure = func(envelope []byte) error {
		var e struct{ Config json.RawMessage }
		if err := json.Unmarshal(envelope, &e); err != nil {
			return err
		}
		if string(e.Config) != "null" {
			d := json.NewDecoder(bytes.NewReader(e.Config))
			d.DisallowUnknownFields()
			if err := d.Decode(target); err != nil {
				return errors.New(strings.TrimPrefix(err.Error(), "json: "))
			}
			if _, err := d.Token(); err != io.EOF {
				return errors.New("config: there is something after the JSON value")
			}
		}
		if v, ok := target.(interface{ Validate() error }); ok {
			return v.Validate()
		}
		return nil
	}
}
