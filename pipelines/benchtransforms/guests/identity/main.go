// Command identity keeps every record: a Go module that does nothing but cross.
package main

import leat "github.com/leatstream/leat/transforms/sdk/go"

func init() {
	leat.Each(func(leat.Record) leat.Result { return leat.Keep() })
}

func main() {}
