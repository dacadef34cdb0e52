// Command go keeps records or, with a config, makes their letters large: what a crossing costs, and a loop over the bytes.
package main

import leat "github.com/leatstream/leat/transforms/sdk/go"

var cfg struct {
	Upper bool `json:"upper"`
}

var buf []byte

func init() {
	leat.Config(&cfg)
	leat.Each(func(r leat.Record) leat.Result {
		if !cfg.Upper {
			return leat.Keep()
		}
		buf = append(buf[:0], r.Data...)
		for i, c := range buf {
			if 'a' <= c && c <= 'z' {
				buf[i] = c - 'a' + 'A'
			}
		}
		return leat.Data(buf)
	})
}

func main() {}
