// Command go-filter is a leat transform that drops JSON records by one field.
//
// The config names the field by the keys that lead to it, and the texts that are not wanted:
//
//	field: [log, level]
//	drop: [debug, trace]
package main

import (
	"errors"

	leat "github.com/leatstream/leat/transforms/sdk/go"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

func init() {
	leat.Config(&cfg)
	leat.Each(filter)
}

func main() {}

var cfg config

type config struct {
	Field []string `json:"field"`
	Drop  []string `json:"drop"`

	doc   leatjson.Doc
	field leatjson.Field
}

// Validate prepares the field. leat calls it before the first record.
func (c *config) Validate() error {
	if len(c.Field) == 0 || len(c.Drop) == 0 {
		return errors.New("name the field, and the texts to drop")
	}
	c.field = c.doc.Field(c.Field...)
	return nil
}

func filter(r leat.Record) leat.Result {
	if err := cfg.doc.Parse(r.Data); err != nil {
		return leat.Fail("json.invalid", err.Error())
	}
	for _, text := range cfg.Drop {
		if cfg.field.Equal(text) {
			return leat.Drop()
		}
	}
	return leat.Keep()
}
