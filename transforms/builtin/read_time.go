package builtin

import (
	"bytes"
	"strconv"
	"time"

	"github.com/itchyny/timefmt-go"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
)

// zoneAt finds the time zone that stands in the setting key.
func zoneAt(n *setting.Node, key, code, name string) (*time.Location, *fault.Error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, invalid(n, key, code, "%s: %q is not a known time zone", key, name).WithHint("write a name such as UTC or Europe/Vienna")
	}
	return zone, nil
}

// readISO reads a time of RFC 3339 or, unless strict, one of the forms of ISO 8601 that programs write.
func readISO(text []byte, zone *time.Location, strict bool) (time.Time, bool) {
	bad := time.Time{}
	if len(text) < 10 || text[4] != '-' || text[7] != '-' {
		return bad, false
	}
	c := clock{year: digitsAt(text, 0, 4), month: digitsAt(text, 5, 2), day: digitsAt(text, 8, 2)}
	rest := text[10:]
	nanos := 0
	switch {
	case len(rest) >= 9 && rest[6] == ':' && (rest[0]|0x20 == 't' || rest[0] == ' ') && c.hms(rest[1:9]):
		rest = rest[9:]
		if len(rest) > 0 && (rest[0] == '.' || rest[0] == ',' && !strict) {
			n := 1
			for n < len(rest) && isDigit(rest[n]) {
				n++
			}
			var ok bool
			if nanos, ok = fractionOf(rest[1:n]); !ok {
				return bad, false
			}
			rest = rest[n:]
		}
	case strict:
		return bad, false
	case len(rest) >= 6 && (rest[0]|0x20 == 't' || rest[0] == ' ') && rest[3] == ':':
		c.hour, c.minute = digitsAt(rest, 1, 2), digitsAt(rest, 4, 2)
		rest = rest[6:]
	case len(rest) > 0:
		return bad, false
	}
	if !c.valid() {
		return bad, false
	}
	offset, ok := offsetOf(rest, strict)
	if !ok {
		return bad, false
	}
	if len(rest) > 0 {
		zone = time.UTC
	}
	return time.Date(c.year, time.Month(c.month), c.day, c.hour, c.minute, c.second, nanos, zone).Add(-offset), true
}

// fractionOf reads at least one digit behind a point as nanoseconds; what is finer is cut off.
func fractionOf(digits []byte) (nanos int, ok bool) {
	if len(digits) == 0 {
		return 0, false
	}
	for i := range 9 {
		nanos *= 10
		if i < len(digits) {
			nanos += int(digits[i] - '0')
		}
	}
	return nanos, true
}

// offsetOf reads Z, +01:00 and, unless strict, +0100, +01 and nothing.
func offsetOf(text []byte, strict bool) (time.Duration, bool) {
	switch {
	case len(text) == 0:
		return 0, !strict
	case len(text) == 1 && text[0]|0x20 == 'z':
		return 0, true
	case text[0] != '+' && text[0] != '-':
		return 0, false
	}
	hours, minutes := -1, 0
	switch {
	case len(text) == 6 && text[3] == ':':
		hours, minutes = digitsAt(text, 1, 2), digitsAt(text, 4, 2)
	case strict:
		return 0, false
	case len(text) == 5:
		hours, minutes = digitsAt(text, 1, 2), digitsAt(text, 3, 2)
	case len(text) == 3:
		hours = digitsAt(text, 1, 2)
	}
	if hours < 0 || hours > 23 || minutes < 0 || minutes > 59 {
		return 0, false
	}
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if text[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// readApache reads a time such as 10/Oct/2000:13:55:36 -0700.
func readApache(text []byte, zone *time.Location) (time.Time, bool) {
	var buf [32]byte
	iso, ok := appendApacheTime(buf[:0], text)
	if !ok {
		return time.Time{}, false
	}
	return readISO(iso, zone, true)
}

// epoch reads a number of units since 1970, which may have a fraction.
func epoch(unit time.Duration) timeReader {
	return func(text []byte, _ *time.Location) (time.Time, bool) {
		digits := text
		negative := len(digits) > 0 && digits[0] == '-'
		if negative {
			digits = digits[1:]
		}
		whole, fraction, point := bytes.Cut(digits, []byte{'.'})
		for _, part := range [][]byte{whole, fraction} {
			for _, c := range part {
				if !isDigit(c) {
					return time.Time{}, false
				}
			}
		}
		units, err := strconv.ParseInt(string(whole), 10, 64)
		if err != nil {
			return time.Time{}, false
		}
		nanos := 0
		if point {
			var ok bool
			if nanos, ok = fractionOf(fraction); !ok {
				return time.Time{}, false
			}
			nanos /= int(time.Second / unit) // of a unit's fraction
		}
		perSecond := int64(time.Second / unit)
		at := time.Unix(units/perSecond, units%perSecond*int64(unit)+int64(nanos))
		if negative {
			at = time.Unix(-(units / perSecond), -(units%perSecond*int64(unit) + int64(nanos)))
		}
		return at, true
	}
}

// readEpoch is epoch with the unit that the number of digits before the point suggests.
func readEpoch(text []byte, zone *time.Location) (time.Time, bool) {
	n := len(bytes.TrimPrefix(text, []byte{'-'}))
	if i := bytes.IndexByte(text, '.'); i >= 0 {
		n = i
		if text[0] == '-' {
			n--
		}
	}
	unit := time.Nanosecond
	switch {
	case n <= 11:
		unit = time.Second
	case n <= 14:
		unit = time.Millisecond
	case n <= 17:
		unit = time.Microsecond
	}
	return epoch(unit)(text, zone)
}

// strftimeReader reads times in a format of strftime.
func strftimeReader(format string) timeReader {
	return func(text []byte, zone *time.Location) (time.Time, bool) {
		at, err := timefmt.ParseInLocation(record.StringOf(text), format, zone)
		if err != nil {
			return time.Time{}, false
		}
		// The library takes 31 February for 3 March.
		if at.Day() <= 3 {
			var buf [4 * maxTimeText]byte
			return at, !dayDiffers(text, timefmt.AppendFormat(buf[:0], at, format))
		}
		return at, true
	}
}

// dayDiffers reports whether a number from 29 to 31 in a text became one up to 3 where the time that was read is written.
func dayDiffers(text, written []byte) bool {
	for {
		var a, b int
		var ok1, ok2 bool
		a, text, ok1 = nextNumber(text)
		b, written, ok2 = nextNumber(written)
		switch {
		case !ok1 || !ok2:
			return false
		case a >= 29 && a <= 31 && b >= 1 && b <= 3:
			return true
		}
	}
}

// nextNumber takes the next digits of a text.
func nextNumber(text []byte) (n int, rest []byte, ok bool) {
	i := 0
	for i < len(text) && !isDigit(text[i]) {
		i++
	}
	for ok = i < len(text); i < len(text) && isDigit(text[i]); i++ {
		n = min(n*10+int(text[i]-'0'), 1<<30)
	}
	return n, text[i:], ok
}
