// Command filter keeps the JSON records whose level is error, and ends the module at one that begins with an exclamation
// mark: poison that no SDK can recover from.
package main

import (
	"os"

	leat "github.com/leatstream/leat/transforms/sdk/go"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

var (
	doc   leatjson.Doc
	level = doc.Field("level")
)

func init() {
	leat.Each(func(r leat.Record) leat.Result {
		if r.Data[0] == '!' {
			os.Exit(3)
		}
		if err := doc.Parse(r.Data); err != nil {
			return leat.Fail("json.invalid", err.Error())
		}
		if !level.Equal("error") {
			return leat.Drop()
		}
		return leat.Keep()
	})
}

func main() {}
