// Command batch is the command filter batch by batch, so that nobody knows which record it works on.
package main

import (
	"os"

	leat "github.com/leatstream/leat/transforms/sdk/go"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

var (
	doc     leatjson.Doc
	level   = doc.Field("level")
	results []leat.Result
)

func init() {
	leat.Batch(func(recs []leat.Record) []leat.Result {
		results = results[:0]
		for _, r := range recs {
			results = append(results, filter(r))
		}
		return results
	})
}

func filter(r leat.Record) leat.Result {
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
}

func main() {}
