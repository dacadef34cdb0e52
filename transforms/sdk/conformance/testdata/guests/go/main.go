// Command go is the guest that transforms/sdk/conformance specifies, in Go.
package main

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	leat "github.com/leatstream/leat/transforms/sdk/go"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

type config struct {
	Mode   string `json:"mode"`
	Refuse string `json:"refuse"`
}

func (c *config) Validate() error {
	if c.Refuse != "" {
		return errors.New(c.Refuse)
	}
	return nil
}

var (
	cfg   config
	calls int
)

func init() {
	leat.Config(&cfg)
	leat.Each(each)
}

func main() {}

func each(r leat.Record) leat.Result {
	calls++
	word, rest, _ := strings.Cut(string(r.Data), " ")
	switch word {
	case "upper":
		return leat.Data(upper(r.Data))
	case "drop":
		return leat.Drop()
	case "fail":
		code, reason, _ := strings.Cut(rest, " ")
		return leat.Fail(code, reason)
	case "emit":
		return leat.Emit(emit(rest)...)
	case "key":
		return leat.Keep().WithKey(rest)
	case "attrs":
		return leat.Emit(leat.Out{Data: r.Data, Attrs: append([]leat.Attr{}, pairs(rest)...)})
	case "partition":
		result := leat.Keep()
		for _, p := range pairs(rest) {
			result = result.WithPartition(p.Name, p.Value)
		}
		return result
	case "count":
		name, n, _ := strings.Cut(rest, " ")
		by, _ := strconv.ParseInt(n, 10, 64)
		leat.Count(name, by)
	case "log":
		leat.Log(leat.Warn, rest)
	case "boom":
		panic("boom")
	case "whoami":
		return leat.Data([]byte(whoami(r)))
	case "calls":
		return leat.Data([]byte(strconv.Itoa(calls)))
	case "tail":
		_, tail, _ := bytes.Cut(r.Data, []byte(" "))
		return leat.Data(tail)
	case "big":
		n, _ := strconv.Atoi(rest)
		return leat.Data(bytes.Repeat([]byte("x"), n))
	case "longname":
		return leat.Emit(leat.Out{Data: []byte("fine")}, leat.Out{Partition: []leat.Attr{{Name: strings.Repeat("n", 1<<16), Value: "v"}}})
	case "spin":
		for n := 0; ; n++ {
			calls = n
		}
	case "recurse":
		return leat.Data([]byte(strconv.Itoa(recurse(1))))
	case "hoard":
		for {
			hoard = append(hoard, bytes.Repeat([]byte("x"), 1<<20))
		}
	case "get", "text", "int", "set":
		return readJSON(word, rest)
	}
	return leat.Keep()
}

var hoard [][]byte

func recurse(n int) int { return recurse(n+calls) + n }

func upper(data []byte) []byte {
	out := make([]byte, len(data))
	for i, c := range data {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		out[i] = c
	}
	return out
}

func emit(count string) []leat.Out {
	n, _ := strconv.Atoi(count)
	outs := make([]leat.Out, n)
	for i := range outs {
		number := strconv.Itoa(i)
		outs[i].Data = []byte(number)
		if i%2 == 1 {
			outs[i].Key = "key-" + number
		}
		if i%3 == 2 {
			outs[i].Attrs = []leat.Attr{{Name: "n", Value: number}}
		}
		if i%4 == 3 {
			outs[i].Partition = []leat.Attr{{Name: "p", Value: number}, {Name: "q", Value: ""}}
		}
	}
	return outs
}

func pairs(text string) []leat.Attr {
	var attrs []leat.Attr
	for _, word := range strings.Fields(text) {
		name, value, _ := strings.Cut(word, "=")
		attrs = append(attrs, leat.Attr{Name: name, Value: value})
	}
	return attrs
}

func whoami(r leat.Record) string {
	text := r.Key + "|" + strconv.FormatUint(uint64(r.Shard), 10) + "|" + strconv.FormatUint(r.Seq, 10) + "|" +
		strconv.FormatUint(uint64(r.Sub), 10) + "|" + strconv.FormatInt(r.Arrived, 10) + "|"
	for _, a := range r.Attrs {
		text += a.Name + "=" + a.Value + ";"
	}
	return text + "|" + cfg.Mode
}

// readJSON does "get PATH JSON", "text PATH JSON", "int PATH JSON" and "set PATH VALUE JSON".
func readJSON(word, rest string) leat.Result {
	path, rest, _ := strings.Cut(rest, " ")
	value := ""
	if word == "set" {
		value, rest, _ = strings.Cut(rest, " ")
	}
	var doc leatjson.Doc
	field := doc.Field(strings.Split(path, ".")...)
	if err := doc.Parse([]byte(rest)); err != nil {
		return leat.Data([]byte("-"))
	}
	out, ok := field.Raw(), field.Exists()
	switch word {
	case "text":
		out, ok = field.Text()
	case "int":
		var n int64
		n, ok = field.Int()
		out = strconv.AppendInt(nil, n, 10)
	case "set":
		err := field.SetRaw([]byte(value))
		if err == nil {
			out, err = doc.Patched()
		}
		ok = err == nil
	}
	if !ok {
		out = []byte("-")
	}
	return leat.Data(out)
}
