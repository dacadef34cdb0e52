package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"sync"
	"time"
)

// A message of an event stream, all numbers big-endian:
//
//	u32 length of the whole | u32 length of the headers | u32 CRC-32 of these 8 bytes
//	headers, each: u8 length, name | u8 7, for a string | u16 length, value
//	payload
//	u32 CRC-32 of all before
const (
	preludeLength  = 12
	trailerLength  = 4
	headerIsString = 7
	// maxMessage is the longest message that SDKs read, 16 MiB of payload, and a little for what is around it.
	maxMessage = 16<<20 + 1<<10
	// keepMessage is the largest buffer that a stream keeps between two events: it may be quiet for minutes.
	keepMessage = 256 << 10
)

// initialResponse is the type of the first event, which the SDKs for Go and Python insist on.
const initialResponse = "initial-response"

// answerAfter is how long the first answer to a client of HTTP/1.1 waits, so that the client is done with the request. The
// SDK for Go closes the request's body when it sees the answer; if net/http has not met the end of the body by then, it
// takes that for a failed request and closes the connection (smithy-go 1.28.8, safeWriteToReadCloser.WriteTo). Where client
// and server share a busy machine, this broke one stream in ten.
const answerAfter = 5 * time.Millisecond

var errTooLong = errors.New("wire: an event is larger than 16 MiB, which no SDK reads")

// payloadTypes are what events say about their payloads.
var payloadTypes = [...]string{JSON: "application/json", CBOR: "application/cbor"}

func appendHeader(dst []byte, name, v string) []byte {
	dst = append(append(dst, byte(len(name))), name...)
	dst = append(dst, headerIsString)
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(v))), v...)
}

// appendMessage appends a message: kind is "event" or "exception", and payload appends its own bytes.
func appendMessage(dst []byte, f Format, kind, name string, payload func([]byte) []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, preludeLength)...)
	dst = appendHeader(dst, ":"+kind+"-type", name)
	dst = appendHeader(dst, ":content-type", payloadTypes[f])
	dst = appendHeader(dst, ":message-type", kind)
	headers := len(dst) - start - preludeLength
	dst = payload(dst)
	m := dst[start:]
	binary.BigEndian.PutUint32(m, uint32(len(m)+trailerLength))
	binary.BigEndian.PutUint32(m[4:], uint32(headers))
	binary.BigEndian.PutUint32(m[8:], crc32.ChecksumIEEE(m[:8]))
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(m))
}

// stream answers with an event stream, and returns when it has ended.
func (x *exchange) stream(s *EventStream) error {
	x.release()
	ctx, cancel := context.WithCancel(x.r.Context())
	defer cancel()
	defer context.AfterFunc(x.h.stopping, cancel)()

	x.set("Content-Type", typeEventStream)
	x.wrote = true
	x.access.Status = http.StatusOK
	if x.r.ProtoMajor == 1 {
		time.Sleep(answerAfter)
	}
	x.w.WriteHeader(http.StatusOK)
	f := x.access.Format
	empty := func(dst []byte) []byte { return Append(f, dst, &struct{}{}) }
	if err := x.message(appendMessage(nil, f, "event", initialResponse, empty)); err != nil {
		return nil // the client is gone
	}
	var mu sync.Mutex // of buf and the connection
	var buf []byte
	err := s.Run(ctx, func(event string, payload any) error {
		mu.Lock()
		defer mu.Unlock()
		if err := ctx.Err(); err != nil {
			return err
		}
		buf = appendMessage(buf[:0], f, "event", event, func(dst []byte) []byte { return Append(f, dst, payload) })
		if len(buf) > maxMessage {
			return errTooLong
		}
		if err := x.message(buf); err != nil {
			cancel() // whoever waits for events need not
			return fmt.Errorf("sending an event: %w", err)
		}
		if cap(buf) > keepMessage {
			buf = nil
		}
		return nil
	})
	if err == nil || ctx.Err() != nil {
		return nil
	}
	e, news := failure(err)
	if news {
		x.log(err)
	}
	x.access.Code = e.Code
	name := e.Code
	if name == codeInternalFailure {
		name = "InternalFailureException" // as the model of event streams names it
	}
	mu.Lock()
	defer mu.Unlock()
	_ = x.message(appendMessage(buf[:0], f, "exception", name, func(dst []byte) []byte { return appendException(f, dst, e) }))
	return nil
}

func appendException(f Format, dst []byte, e *Error) []byte {
	return Append(f, dst, &struct {
		Message string `json:"message"`
	}{e.Message})
}

// message sends one at once. A client that takes it too slowly is given up.
func (x *exchange) message(p []byte) error {
	if err := x.writeBody(p); err != nil {
		return err
	}
	err := x.control.Flush()
	// Until the next event there is nothing to write, and HTTP/2 would reset the stream when the time is up all the same.
	_ = x.control.SetWriteDeadline(time.Time{})
	return err
}
