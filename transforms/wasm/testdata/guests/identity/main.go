// Command identity keeps every record: what a crossing costs.
package main

import leat "github.com/leatstream/leat/transforms/sdk/go"

func init() {
	leat.Each(func(leat.Record) leat.Result { return leat.Keep() })
}

func main() {}
