package benchkinesis

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// frame is a message of an event stream.
// https://smithy.io/2.0/aws/amazon-eventstream.html
type frame struct {
	event, exception string // :event-type and :exception-type
	payload          []byte
}

const (
	preludeSize  = 12 // total length, length of the headers, CRC of both
	largestFrame = 24 << 20
	typeString   = 7
)

var errFrame = errors.New("the event stream is damaged")

// readFrame reads the next message into buf, which it grows, and returns both.
func readFrame(r io.Reader, buf []byte) (frame, []byte, error) {
	var prelude [preludeSize]byte
	if _, err := io.ReadFull(r, prelude[:]); err != nil {
		return frame{}, buf, err
	}
	total, headers := binary.BigEndian.Uint32(prelude[:]), binary.BigEndian.Uint32(prelude[4:])
	if crc32.ChecksumIEEE(prelude[:8]) != binary.BigEndian.Uint32(prelude[8:]) || total > largestFrame ||
		uint64(total) < preludeSize+uint64(headers)+4 {
		return frame{}, buf, errFrame
	}
	if rest := int(total) - preludeSize; cap(buf) < rest {
		buf = make([]byte, rest)
	}
	buf = buf[:total-preludeSize]
	if _, err := io.ReadFull(r, buf); err != nil {
		return frame{}, buf, err
	}
	content := buf[:len(buf)-4]
	sum := crc32.Update(crc32.ChecksumIEEE(prelude[:]), crc32.IEEETable, content)
	if sum != binary.BigEndian.Uint32(buf[len(content):]) {
		return frame{}, buf, errFrame
	}
	f := frame{payload: content[headers:]}
	for h := content[:headers]; len(h) > 0; {
		name, rest, ok := cut(h, int(h[0])+1)
		if !ok || len(rest) < 3 || rest[0] != typeString {
			return frame{}, buf, errFrame
		}
		value, rest, ok := cut(rest[1:], int(binary.BigEndian.Uint16(rest[1:]))+2)
		if !ok {
			return frame{}, buf, errFrame
		}
		switch string(name[1:]) {
		case ":event-type":
			f.event = string(value[2:])
		case ":exception-type":
			f.exception = string(value[2:])
		}
		h = rest
	}
	return f, buf, nil
}

func cut(p []byte, n int) (head, rest []byte, ok bool) {
	if len(p) < n {
		return nil, nil, false
	}
	return p[:n], p[n:], true
}
