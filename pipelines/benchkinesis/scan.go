package benchkinesis

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/segmentio/asm/base64"
)

var errBody = errors.New("the body is not the JSON of a request or an answer")

// scanner reads JSON of a known shape in one pass, as fast as texts can be searched for their end. The bare program decodes
// requests with it, and the client reads answers back: both would else be what is measured.
type scanner struct {
	p []byte
	i int
}

// peek is the next byte that is no white space; 0 at the end.
func (s *scanner) peek() byte {
	for ; s.i < len(s.p); s.i++ {
		switch c := s.p[s.i]; c {
		case ' ', '\n', '\r', '\t':
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) take(c byte) error {
	if s.peek() != c {
		return errBody
	}
	s.i++
	return nil
}

// text reads a string. It is a part of the body, or a copy if the body escapes it.
func (s *scanner) text() ([]byte, error) {
	if err := s.take('"'); err != nil {
		return nil, err
	}
	n := bytes.IndexByte(s.p[s.i:], '"')
	if n < 0 {
		return nil, errBody
	}
	if t := s.p[s.i : s.i+n]; bytes.IndexByte(t, '\\') < 0 {
		s.i += n + 1
		return t, nil
	}
	for end := s.i; end < len(s.p); end++ {
		switch s.p[end] {
		case '\\':
			end++
		case '"':
			var t string
			if err := json.Unmarshal(s.p[s.i-1:end+1], &t); err != nil {
				return nil, err
			}
			s.i = end + 1
			return []byte(t), nil
		}
	}
	return nil, errBody
}

// object calls member for each, which reads the value.
func (s *scanner) object(member func(name []byte) error) error {
	return s.sequence('{', '}', func() error {
		name, err := s.text()
		if err == nil {
			err = s.take(':')
		}
		if err != nil {
			return err
		}
		return member(name)
	})
}

func (s *scanner) sequence(open, end byte, element func() error) error {
	if err := s.take(open); err != nil {
		return err
	}
	if s.peek() == end {
		s.i++
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.i++
		case end:
			s.i++
			return nil
		default:
			return errBody
		}
	}
}

// skip passes over a value.
func (s *scanner) skip() error {
	switch s.peek() {
	case '"':
		_, err := s.text()
		return err
	case '{':
		return s.object(func([]byte) error { return s.skip() })
	case '[':
		return s.sequence('[', ']', s.skip)
	}
	n := bytes.IndexAny(s.p[s.i:], ",}] \n\r\t")
	if n <= 0 {
		return errBody
	}
	s.i += n
	return nil
}

// entry is a record of a request or an answer; its parts are those of the body.
type entry struct {
	data                 []byte // base64
	key, sequence, shard []byte
	code                 []byte // ErrorCode
}

// entry reads the members of a record.
func (s *scanner) entry() (e entry, err error) {
	err = s.object(func(name []byte) error { return s.member(name, &e) })
	return e, err
}

func (s *scanner) member(name []byte, e *entry) (err error) {
	into := (*[]byte)(nil)
	switch string(name) {
	case "Data":
		into = &e.data
	case "PartitionKey":
		into = &e.key
	case "SequenceNumber":
		into = &e.sequence
	case "ShardId":
		into = &e.shard
	case "ErrorCode":
		into = &e.code
	}
	if into == nil || s.peek() != '"' {
		return s.skip()
	}
	*into, err = s.text()
	return err
}

// entries calls each for every record of a body: the elements of Records, or, of PutRecord, the body itself.
func entries(body []byte, each func(entry) error) error {
	s := scanner{p: body}
	var alone entry
	list := false
	err := s.object(func(name []byte) error {
		if string(name) != "Records" {
			return s.member(name, &alone)
		}
		list = true
		return s.sequence('[', ']', func() error {
			e, err := s.entry()
			if err != nil {
				return err
			}
			return each(e)
		})
	})
	if err != nil || list {
		return err
	}
	return each(alone)
}

// appendData appends the bytes of a record.
func (e *entry) appendData(dst []byte) ([]byte, error) {
	at := len(dst)
	if n := at + base64.StdEncoding.DecodedLen(len(e.data)); n <= cap(dst) {
		dst = dst[:n]
	} else {
		dst = append(dst, make([]byte, n-at)...)
	}
	n, err := base64.StdEncoding.Decode(dst[at:], e.data)
	return dst[:at+n], err
}
