// Command json decodes each record as a JSON object, adds a field and encodes it: the slow and usual way.
package main

import (
	"encoding/json"

	leat "github.com/leatstream/leat/transforms/sdk/go"
)

func init() {
	leat.Each(func(r leat.Record) leat.Result {
		var v map[string]any
		if err := json.Unmarshal(r.Data, &v); err != nil {
			return leat.Fail("json", err.Error())
		}
		v["seen"] = true
		b, err := json.Marshal(v)
		if err != nil {
			return leat.Fail("json", err.Error())
		}
		return leat.Data(b)
	})
}

func main() {}
