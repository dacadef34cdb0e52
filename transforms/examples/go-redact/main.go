// Command go-redact is a leat transform that takes personal data out of JSON records and leaves all else of them byte for byte as it is.
//
//	hash: [[user, email]]    # becomes the beginning of its SHA-256, so that records of one user can still be told
//	remove: [[user, phone]]
//
// A field that came more than once in its object is there once, or not at all, afterwards.
package main

import (
	"crypto/sha256"
	"encoding/hex"

	leat "github.com/leatstream/leat/transforms/sdk/go"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

func init() {
	leat.Config(&cfg)
	leat.Each(redact)
}

func main() {}

var cfg config

type config struct {
	Hash   [][]string `json:"hash"`
	Remove [][]string `json:"remove"`

	doc          leatjson.Doc
	hash, remove []leatjson.Field
}

// Validate prepares the fields. leat calls it before the first record.
func (c *config) Validate() error {
	for _, path := range c.Hash {
		c.hash = append(c.hash, c.doc.Field(path...))
	}
	for _, path := range c.Remove {
		c.remove = append(c.remove, c.doc.Field(path...))
	}
	return nil
}

func redact(r leat.Record) leat.Result {
	if err := cfg.doc.Parse(r.Data); err != nil {
		return leat.Fail("json.invalid", err.Error())
	}
	for _, f := range cfg.hash {
		if !f.Exists() {
			f.Delete() // it may be in an object that came before another of the same name
			continue
		}
		text, ok := f.Text()
		if !ok {
			text = f.Raw()
		}
		sum := sha256.Sum256(text)
		var digits [32]byte
		hex.Encode(digits[:], sum[:len(digits)/2])
		f.SetText(digits[:])
	}
	for _, f := range cfg.remove {
		f.Delete()
	}
	if !cfg.doc.Changed() {
		return leat.Keep()
	}
	out, err := cfg.doc.Patched()
	if err != nil {
		return leat.Fail("json.conflict", err.Error())
	}
	return leat.Data(out)
}
