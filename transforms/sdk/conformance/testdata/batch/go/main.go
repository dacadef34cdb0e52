// Command go says of each record which one of how many it is, and keeps every third.
package main

import (
	"strconv"

	leat "github.com/leatstream/leat/transforms/sdk/go"
)

func init() {
	leat.Batch(func(records []leat.Record) []leat.Result {
		results := make([]leat.Result, len(records))
		for i, r := range records {
			switch {
			case string(r.Data) == "boom":
				panic("boom")
			case i%3 == 2:
				results[i] = leat.Keep()
			default:
				results[i] = leat.Data([]byte(strconv.Itoa(i) + " of " + strconv.Itoa(len(records)) + ": " + string(r.Data)))
			}
		}
		return results
	})
}

func main() {}
