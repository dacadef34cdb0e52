package wire

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Content types.
const (
	typeJSON        = "application/x-amz-json-1.1"
	typeCBOR        = "application/x-amz-cbor-1.1"
	typeEventStream = "application/vnd.amazon.eventstream"
)

var contentTypes = [...]string{JSON: typeJSON, CBOR: typeCBOR}

// write answers with an output.
func (x *exchange) write(out any) {
	size := 1 << minClass
	if s, ok := out.(Sizer); ok {
		size = s.SizeWire(x.access.Format)
	}
	body := Append(x.access.Format, getBuffer(size)[:0], out)
	defer putBuffer(body)
	x.set("Content-Type", contentTypes[x.access.Format])
	x.send(http.StatusOK, body)
}

// send writes the answer.
func (x *exchange) send(status int, body []byte) {
	// Most clients of HTTP/1.1 send all before they read. If the connection were closed on one whose body is refused, it would
	// get a broken pipe, not the answer; so what it sends is thrown away for a while. Where it shall try again a broken pipe
	// is as good, and the server has better things to do; and one that was too slow has had its time.
	refused := x.body == nil && x.r.ContentLength != 0 && x.r.ProtoMajor == 1
	linger := refused && status != http.StatusServiceUnavailable && status != http.StatusRequestTimeout
	if refused {
		_ = x.control.EnableFullDuplex() // net/http has it for HTTP/1.1, as it has time limits
		x.set("Connection", "close")
		if status != http.StatusRequestTimeout { // its time limit has passed, and net/http reads no more either
			_ = x.control.SetReadDeadline(time.Now().Add(x.h.cfg.Patience / 2))
		}
	}
	x.set("Content-Length", strconv.Itoa(len(body)))
	x.wrote = true
	x.access.Status = status
	x.w.WriteHeader(status)
	if err := x.writeBody(body); err == nil && linger { // a client that is gone hears nothing
		_ = x.control.Flush()
		_, _ = io.CopyN(io.Discard, x.r.Body, maxLinger)
	}
}

// maxLinger is how many bytes of a refused body are thrown away; more is cut.
const maxLinger = 64 << 20

// piece of an answer, in bytes, that has its own time limit.
const piece = 128 << 10

// writeBody writes piece by piece, so that a client that takes nothing any more is soon noticed, however long the body is.
func (x *exchange) writeBody(p []byte) error {
	for first := true; first || len(p) > 0; first = false {
		next := p[:min(len(p), piece)]
		p = p[len(next):]
		_ = x.control.SetWriteDeadline(time.Now().Add(x.h.cfg.timeFor(len(next)))) // every connection of net/http has one
		n, err := x.w.Write(next)
		x.access.Out += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}

// fail answers with an error.
func (x *exchange) fail(err error) {
	e, news := failure(err)
	if news {
		x.log(err)
	}
	x.access.Code = e.Code
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	x.set("X-Amzn-Errortype", e.Code)
	if x.xml {
		x.w.Header()["Content-Type"] = nil // as the service has it; without this line net/http guesses one
		x.send(status, fmt.Appendf(nil, "<%s>\n  <Message>%s</Message>\n</%[1]s>\n", e.Code, html.EscapeString(e.Message)))
		return
	}
	x.set("Content-Type", contentTypes[x.access.Format])
	x.send(status, appendError(x.access.Format, nil, e))
}

// appendError appends the body of an error. A SerializationException has its message under another key, as the service
// writes it.
func appendError(f Format, dst []byte, e *Error) []byte {
	key := "message"
	if e.Code == codeSerialization {
		key = "Message"
	}
	body := map[string]string{"__type": e.Code}
	if e.Message != "" {
		body[key] = e.Message
	}
	return appendMap(f, dst, reflect.ValueOf(body))
}

// newID is a random UUID, for x-amzn-RequestId. It is unique, not secret.
func newID() string {
	var id uuid.UUID
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // version 4, variant of RFC 9562
	return id.String()
}

// newExtendedID is what the service's x-amz-id-2 looks like: 72 bytes in base64.
func newExtendedID() string {
	var id [72]byte
	for i := 0; i < len(id); i += 8 {
		binary.NativeEndian.PutUint64(id[i:], rand.Uint64())
	}
	var text [96]byte
	base64.StdEncoding.Encode(text[:], id[:])
	return string(text[:])
}
