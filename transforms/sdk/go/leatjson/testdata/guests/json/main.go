// Command json does the same to records once with leatjson and once with encoding/json, as its config says.
package main

import (
	"encoding/json"

	leat "github.com/leatstream/leat/transforms/sdk/go"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

var (
	only     leatjson.Doc
	onlyOne  = only.Field("level")
	doc      leatjson.Doc
	level    = doc.Field("level")
	status   = doc.Field("http", "status")
	user     = doc.Field("user", "id")
	email    = doc.Field("user", "email")
	duration = doc.Field("duration_ms")
)

var config settings

type settings struct {
	Work string
	do   func(leat.Record) leat.Result
}

// Validate is called before the first record.
func (s *settings) Validate() error {
	s.do = works[s.Work]
	return nil
}

var works = map[string]func(leat.Record) leat.Result{
	"keep": func(leat.Record) leat.Result { return leat.Keep() },
	"filter": func(r leat.Record) leat.Result {
		if err := only.Parse(r.Data); err != nil {
			return leat.Fail("json.invalid", err.Error())
		}
		if onlyOne.Equal("debug") {
			return leat.Drop()
		}
		return leat.Keep()
	},
	"get": func(r leat.Record) leat.Result {
		if err := doc.Parse(r.Data); err != nil {
			return leat.Fail("json.invalid", err.Error())
		}
		id, _ := user.Text()
		code, _ := status.Int()
		if level.Equal("debug") || len(id) == 0 || code != 200 {
			return leat.Drop()
		}
		return leat.Keep()
	},
	"patch": func(r leat.Record) leat.Result {
		if err := doc.Parse(r.Data); err != nil {
			return leat.Fail("json.invalid", err.Error())
		}
		email.SetString("redacted")
		duration.SetInt(7)
		out, err := doc.Patched()
		if err != nil {
			return leat.Fail("json.conflict", err.Error())
		}
		return leat.Data(out)
	},
	"std-filter": func(r leat.Record) leat.Result {
		var v struct {
			Level string `json:"level"`
		}
		if err := json.Unmarshal(r.Data, &v); err != nil {
			return leat.Fail("json.invalid", err.Error())
		}
		if v.Level == "debug" {
			return leat.Drop()
		}
		return leat.Keep()
	},
	"std-get": func(r leat.Record) leat.Result {
		var v struct {
			Level string `json:"level"`
			User  struct {
				ID string `json:"id"`
			} `json:"user"`
			HTTP struct {
				Status int `json:"status"`
			} `json:"http"`
		}
		if err := json.Unmarshal(r.Data, &v); err != nil {
			return leat.Fail("json.invalid", err.Error())
		}
		if v.Level == "debug" || v.User.ID == "" || v.HTTP.Status != 200 {
			return leat.Drop()
		}
		return leat.Keep()
	},
	"std-patch": func(r leat.Record) leat.Result {
		var v map[string]any
		if err := json.Unmarshal(r.Data, &v); err != nil {
			return leat.Fail("json.invalid", err.Error())
		}
		v["user"].(map[string]any)["email"] = "redacted"
		v["duration_ms"] = 7
		out, err := json.Marshal(v)
		if err != nil {
			return leat.Fail("json.invalid", err.Error())
		}
		return leat.Data(out)
	},
}

func init() {
	leat.Config(&config)
	leat.Each(func(r leat.Record) leat.Result { return config.do(r) })
}

func main() {}
