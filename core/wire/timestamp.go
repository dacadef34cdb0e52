package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Timestamp is a time on the wire: in JSON a number of seconds since the Unix epoch with up to three decimals, in CBOR an
// integer number of milliseconds with tag 1.
type Timestamp struct{ time.Time }

// At returns t as it goes over the wire.
func At(t time.Time) Timestamp { return Timestamp{t} }

// maxSecond bounds timestamps, in seconds since the Unix epoch: the end of year 9999.
const maxSecond = 253402300799

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
	return t.set(seconds)
}

func (t *Timestamp) set(seconds float64) error {
	if math.IsNaN(seconds) || seconds < -maxSecond || seconds > maxSecond {
		return fmt.Errorf("%g seconds since the Unix epoch is out of range", seconds)
	}
	t.Time = time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()
	return nil
}

// MarshalCBOR implements cbor.Marshaler.
func (t Timestamp) MarshalCBOR() ([]byte, error) { return t.AppendCBOR(nil), nil }

// AppendCBOR appends the CBOR form.
func (t Timestamp) AppendCBOR(dst []byte) []byte {
	ms := t.UnixMilli()
	if ms < 0 {
		return binary.BigEndian.AppendUint64(append(dst, 0xc1, 0x3b), uint64(-1-ms))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xc1, 0x1b), uint64(ms))
}
