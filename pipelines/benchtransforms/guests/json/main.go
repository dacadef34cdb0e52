// Command json is the filter with encoding/json: it keeps the JSON records whose level is error, and ends the module at one that begins with an
// exclamation mark.
package main

import (
	"encoding/json"
	"os"

	leat "github.com/leatstream/leat/transforms/sdk/go"
)

func init() {
	leat.Each(func(r leat.Record) leat.Result {
		if r.Data[0] == '!' {
			os.Exit(3)
		}
		var line struct {
			Level string `json:"level"`
		}
		if err := json.Unmarshal(r.Data, &line); err != nil {
			return leat.Fail("json.invalid", err.Error())
		}
		if line.Level != "error" {
			return leat.Drop()
		}
		return leat.Keep()
	})
}

func main() {}
