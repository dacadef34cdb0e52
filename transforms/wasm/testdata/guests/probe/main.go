// Command probe does what the first word of a record says, so that tests can ask for any behaviour.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	leat "github.com/leatstream/leat/transforms/sdk/go"
)

type config struct {
	Mode string `json:"mode"`
}

func (c *config) Validate() error {
	if c.Mode == "refuse" {
		return errors.New("mode: refuse is not among the modes")
	}
	return nil
}

var (
	cfg   config
	calls int
	hoard [][]byte
)

func init() {
	leat.Config(&cfg)
	leat.Each(probe)
}

func main() {}

func probe(r leat.Record) leat.Result {
	calls++
	word, rest, _ := bytes.Cut(r.Data, []byte(" "))
	switch string(word) {
	case "upper":
		return leat.Data(bytes.ToUpper(r.Data))
	case "drop":
		return leat.Drop()
	case "fail":
		return leat.Fail("probe.asked", "the record asked for it: "+string(rest))
	case "split":
		var outs []leat.Out
		for _, part := range bytes.Fields(rest) {
			outs = append(outs, leat.Out{Data: part, Attrs: []leat.Attr{{Name: "part", Value: string(part)}}})
		}
		return leat.Emit(outs...)
	case "route":
		return leat.Keep().WithPartition("to", string(rest)).WithPartition("n", "1").WithKey("key-" + string(rest))
	case "whoami":
		return leat.Data(fmt.Appendf(nil, "%s %d %d %d %d %v %s", r.Key, r.Shard, r.Seq, r.Sub, r.Arrived, r.Attrs, cfg.Mode))
	case "write":
		for i := range r.Data {
			r.Data[i] = 'x'
		}
		return leat.Keep()
	case "panic":
		var none []int
		return leat.Data([]byte(strconv.Itoa(none[len(rest)])))
	case "exit":
		fmt.Fprintln(os.Stderr, "probe says goodbye")
		os.Exit(3)
	case "spin":
		for n := 0; ; n++ {
			calls = n
		}
	case "recurse":
		calls = recurse(1)
	case "sleep":
		time.Sleep(time.Hour)
	case "hoard":
		for {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			hoard = append(hoard, b)
		}
	case "log":
		leat.Log(leat.Warn, string(rest))
		fmt.Println("to stdout:", string(rest))
		leat.Count("logged", 1)
	case "swell":
		return leat.Data(bytes.Repeat(r.Data, 100))
	case "huge":
		return leat.Data(make([]byte, 7<<20))
	case "calls":
		return leat.Data([]byte(strconv.Itoa(calls)))
	case "random":
		return leat.Data(strconv.AppendUint(nil, rand.Uint64(), 16))
	case "grow":
		hoard = append(hoard, make([]byte, 200<<10))
		return leat.Data(strconv.AppendInt(nil, int64(len(hoard)), 10))
	case "nothing":
		return leat.Result{}
	}
	return leat.Keep()
}

func recurse(n int) int { return n + recurse(n+1) }
