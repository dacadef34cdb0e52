package builtin

import (
	"strconv"

	"github.com/leatstream/leat/transforms/sdk/go/leatjson"
)

// jsonObject writes an object whose keys are mostly known beforehand, and have nothing that JSON escapes: half the work of writing a
// small field is its key. Each member ends with a comma, which end takes back.
type jsonObject struct{ buf []byte }

// begin forgets what was written and opens an object.
func (o *jsonObject) begin() { o.buf = append(reuse(o.buf), '{') }

// end closes the object that was opened last.
func (o *jsonObject) end() {
	if last := len(o.buf) - 1; o.buf[last] == ',' {
		o.buf[last] = '}'
	} else {
		o.buf = append(o.buf, '}')
	}
}

// key writes a key that has nothing to escape.
func (o *jsonObject) key(name string) {
	o.buf = append(o.buf, '"')
	o.buf = append(o.buf, name...)
	o.buf = append(o.buf, '"', ':')
}

// anyKey writes any key.
func (o *jsonObject) anyKey(name string) { o.buf = append(leatjson.AppendString(o.buf, name), ':') }

// open opens an object as the value of the key that was written last, and shut ends it.
func (o *jsonObject) open() { o.buf = append(o.buf, '{') }
func (o *jsonObject) shut() {
	o.end()
	o.buf = append(o.buf, ',')
}

// text, raw and boolean write the value of the key that was written last.
func (o *jsonObject) text(value []byte) { o.buf = append(leatjson.AppendText(o.buf, value), ',') }
func (o *jsonObject) raw(value string) {
	o.buf = append(o.buf, value...)
	o.buf = append(o.buf, ',')
}
func (o *jsonObject) boolean(value bool) { o.buf = append(strconv.AppendBool(o.buf, value), ',') }
