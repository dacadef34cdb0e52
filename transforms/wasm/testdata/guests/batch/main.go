// Command batch numbers the records of each batch, and panics when one says so.
package main

import (
	"strconv"

	leat "github.com/leatstream/leat/transforms/sdk/go"
)

func init() {
	leat.Batch(func(recs []leat.Record) []leat.Result {
		results := make([]leat.Result, len(recs))
		for i, r := range recs {
			if string(r.Data) == "panic" {
				panic("the batch holds a panic")
			}
			results[i] = leat.Data(strconv.AppendInt(nil, int64(i), 10))
		}
		return results
	})
}

func main() {}
