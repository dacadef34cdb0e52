package leatjson_test

import (
	"fmt"

	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

var (
	doc   leatjson.Doc
	level = doc.Field("level")
	email = doc.Field("user", "email")
	tags  = doc.Field("tags")
)

func ExampleDoc_Parse() {
	err := doc.Parse([]byte(`{"level":"info","user":{"email":"a@example.com"},"tags":["x","y"]}`))
	text, ok := email.Text()
	fmt.Println(err, level.Equal("info"), string(text), ok)
	for tag := range tags.Value().Elements() {
		fmt.Println(string(tag.Raw()))
	}
	fmt.Println(doc.Parse([]byte(`{"level":"info","user":{"em`)))
	// Output:
	// <nil> true a@example.com true
	// "x"
	// "y"
	// not JSON: at byte 27: it ends too early: there should be text without control characters and bad escapes
}

func ExampleDoc_Patched() {
	if err := doc.Parse([]byte(`{ "level": "info", "price": 10.00, "user": {"email": "a@example.com"} }`)); err != nil {
		fmt.Println(err)
	}
	level.Rename("severity")
	email.SetString("redacted")
	tags.SetRaw([]byte(`["new"]`))
	out, err := doc.Patched()
	fmt.Println(string(out), err)
	// Output: { "severity": "info", "price": 10.00, "user": {"email": "redacted"},"tags":["new"] } <nil>
}

func ExampleGet() {
	v, err := leatjson.Get([]byte(`{"user":{"id":42}}`), "user", "id")
	n, ok := v.Int()
	fmt.Println(n, ok, err)
	// Output: 42 true <nil>
}

func ExampleWriter() {
	var w leatjson.Writer
	w.Object().Str("name", "Bo \"the\" Writer").Int("n", 1).Key("tags").Array().StrValue("x").IntValue(2).End().End()
	fmt.Println(string(w.Bytes()))
	// Output: {"name":"Bo \"the\" Writer","n":1,"tags":["x",2]}
}
