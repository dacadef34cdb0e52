package wiretest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Message of an event stream.
type Message struct {
	Headers map[string]string
	Payload []byte
}

// maxMessage is more than any SDK reads.
const maxMessage = 24 << 20

// ReadMessage reads a message and checks its lengths and both sums. It is io.EOF at the end of the stream.
func ReadMessage(r io.Reader) (Message, error) {
	var prelude [12]byte
	if _, err := io.ReadFull(r, prelude[:]); err != nil {
		return Message{}, err
	}
	whole, headers := binary.BigEndian.Uint32(prelude[:]), binary.BigEndian.Uint32(prelude[4:])
	if binary.BigEndian.Uint32(prelude[8:]) != crc32.ChecksumIEEE(prelude[:8]) {
		return Message{}, errors.New("the sum of the prelude is wrong")
	}
	if whole > maxMessage || whole < 16 || headers > whole-16 {
		return Message{}, fmt.Errorf("a message of %d bytes with headers of %d", whole, headers)
	}
	rest := make([]byte, whole-12)
	if _, err := io.ReadFull(r, rest); err != nil {
		return Message{}, fmt.Errorf("half a message: %w", err)
	}
	n := len(rest) - 4
	sum := crc32.Update(crc32.ChecksumIEEE(prelude[:]), crc32.IEEETable, rest[:n])
	if binary.BigEndian.Uint32(rest[n:]) != sum {
		return Message{}, errors.New("the sum of the message is wrong")
	}
	m := Message{Headers: map[string]string{}, Payload: rest[headers:n]}
	p := rest[:headers]
	for len(p) > 0 {
		name, after, ok := cut(p[1:], int(p[0]))
		if !ok || len(after) < 3 || after[0] != 7 {
			return Message{}, errors.New("a header that is no string")
		}
		v, after, ok := cut(after[3:], int(binary.BigEndian.Uint16(after[1:])))
		if !ok {
			return Message{}, errors.New("half a header")
		}
		m.Headers[string(name)] = string(v)
		p = after
	}
	return m, nil
}

func cut(p []byte, n int) (first, rest []byte, ok bool) {
	if n > len(p) {
		return nil, nil, false
	}
	return p[:n], p[n:], true
}
