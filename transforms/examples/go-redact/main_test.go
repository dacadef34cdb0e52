package main

import (
	"strings"
	"testing"

	leat "github.com/leatstream/leat/transforms/sdk/go"
)

func TestNothingOfWhatIsRedactedStays(t *testing.T) {
	cfg = config{}
	in := `{ "user": {"email": "a@example.com", "phone":"+43 1 23"}, "price": 10.00, "user": {"email":"b@example.com","\u0070hone":"+43 1 23","id":7} }`
	got, err := leat.Test(map[string]any{"hash": [][]string{{"user", "email"}}, "remove": [][]string{{"user", "phone"}}},
		leat.Record{Data: []byte(in)}, leat.Record{Data: []byte(`{"user":null}`)}, leat.Record{Data: []byte(`{"user":`)},
		leat.Record{Data: []byte(`{"user":{"email":"a@example.com"},"user":{}}`)})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{ "price": 10.00, "user": {"email":"e8f39b3e1382367d6d41ab34dc270d4e","id":7} }`
	if out := string(got[0].Outs[0].Data); out != want || strings.Contains(out, "example.com") {
		t.Errorf("got %s", out)
	}
	if string(got[1].Outs[0].Data) != `{"user":null}` || got[2].Code != "json.invalid" || string(got[3].Outs[0].Data) != `{"user":{}}` {
		t.Errorf("got %+v", got[1:])
	}
}
