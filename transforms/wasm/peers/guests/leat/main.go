// Command leat is the work as a transform of leat.
package main

import (
	"encoding/binary"

	leat "github.com/leatstream/leat/transforms/sdk/go"
)

var (
	cfg struct {
		Work string `json:"work"`
	}
	buf []byte
)

func init() {
	leat.Config(&cfg)
	leat.Each(func(r leat.Record) leat.Result {
		switch cfg.Work {
		case "count":
			buf = binary.LittleEndian.AppendUint32(buf[:0], vowels(r.Data))
		case "upper":
			buf = upper(buf[:0], r.Data)
		default:
			return leat.Keep()
		}
		return leat.Data(buf)
	})
}

func main() {}
