package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Timestamp is a time on the wire: in JSON a number of seconds since the Unix epoch with up to three decimals, in CBOR an
// integer number of milliseconds with tag 1. When read, CBOR's may be a float and may lack the tag; no form is a text.
type Timestamp struct{ time.Time }

// At returns t as it goes over the wire.
func At(t time.Time) Timestamp { return Timestamp{t} }

// maxMillisecond bounds timestamps, in milliseconds before and after the Unix epoch: the end of year 9999.
const maxMillisecond = 253402300799999

// set is the time a number of milliseconds after the Unix epoch.
func (t *Timestamp) set(ms float64) error {
	if math.IsNaN(ms) || math.Abs(ms) > maxMillisecond {
		return fmt.Errorf("%g milliseconds since epoch is out of range", ms)
	}
	t.Time = time.UnixMilli(int64(math.Round(ms))).UTC()
	return nil
}

// MarshalJSON implements json.Marshaler.
func (t Timestamp) MarshalJSON() ([]byte, error) { return t.AppendJSON(nil), nil }

// AppendJSON appends the JSON form.
func (t Timestamp) AppendJSON(dst []byte) []byte {
	return strconv.AppendFloat(dst, float64(t.UnixMilli())/1000, 'f', -1, 64)
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Timestamp) UnmarshalJSON(p []byte) error {
	if string(p) == "null" {
		return nil
	}
	seconds, err := strconv.ParseFloat(string(p), 64)
	if err != nil {
		return fmt.Errorf("%.40q is no number of seconds since the Unix epoch", p)
	}
	return t.set(seconds * 1000)
}

// AppendCBOR appends the CBOR form.
func (t Timestamp) AppendCBOR(dst []byte) []byte {
	ms := t.UnixMilli()
	if ms < 0 {
		return binary.BigEndian.AppendUint64(append(dst, 0xc1, 0x3b), uint64(-1-ms))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xc1, 0x1b), uint64(ms))
}
