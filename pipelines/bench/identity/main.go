// Command identity is the transform that keeps every record as it is: what it costs is what crossing into a module costs.
package main

import leat "github.com/leatstream/leat/transforms/sdk/go"

func init() {
	leat.Each(func(leat.Record) leat.Result { return leat.Keep() })
}

func main() {}
