// Command go-split is a leat transform that makes a record of each element of an array: the items of an order, with the order's id.
//
//	{"id":7,"items":[{"sku":"a"},{"sku":"b"}]}  becomes  {"order":7,"item":{"sku":"a"}}  and  {"order":7,"item":{"sku":"b"}}
//
// The partition key of each is its sku, and objects can be laid out by !{partitionKeyFromLambda:sku}.
package main

import (
	leat "github.com/leatstream/leat/transforms/sdk/go"
	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

func init() { leat.Each(split) }

func main() {}

var (
	doc   leatjson.Doc
	id    = doc.Field("id")
	items = doc.Field("items")

	// Memory that is used again for every record. A writer for each output, because all of them are read when split has returned.
	writers []*leatjson.Writer
	outs    []leat.Out
)

func split(r leat.Record) leat.Result {
	if err := doc.Parse(r.Data); err != nil {
		return leat.Fail("json.invalid", err.Error())
	}
	if id.Kind() != leatjson.Number || items.Kind() != leatjson.Array {
		return leat.Fail("order.incomplete", "an order has an id and items")
	}
	outs = outs[:0]
	for item := range items.Value().Elements() {
		sku, ok := member(item, "sku").Text()
		if !ok {
			return leat.Fail("order.no_sku", "an item has no sku: "+string(item.Raw()))
		}
		if len(outs) == len(writers) {
			writers = append(writers, new(leatjson.Writer))
		}
		w := writers[len(outs)]
		w.Reset()
		w.Object().Raw("order", id.Raw()).Raw("item", item.Raw()).End()
		key := string(sku)
		outs = append(outs, leat.Out{Data: w.Bytes(), Key: key, Partition: []leat.Attr{{Name: "sku", Value: key}}})
	}
	return leat.Emit(outs...)
}

// member returns the value of a key of an object.
func member(object leatjson.Value, name string) (value leatjson.Value) {
	for key, v := range object.Members() {
		if key.Equal(name) {
			value = v // the last one counts
		}
	}
	return value
}
