package builtin

import "time"

// Times of logs, read without time.Parse: it takes ten times as long, and more than the logs have.

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// monthOf returns the number of a month's short English name; 0 if it is none.
func monthOf(text []byte) int {
	if len(text) != 3 {
		return 0
	}
	for i := 0; i < len(months); i += 3 {
		if months[i] == text[0] && months[i+1] == text[1] && months[i+2] == text[2] {
			return i/3 + 1
		}
	}
	return 0
}

// digitsAt returns the number that n digits at a place of text are; -1 if they are no digits.
func digitsAt(text []byte, at, n int) int {
	v := 0
	for _, c := range text[at : at+n] {
		if c < '0' || c > '9' {
			return -1
		}
		v = v*10 + int(c-'0')
	}
	return v
}

// clock is a date and a time of day, as a log has them.
type clock struct{ year, month, day, hour, minute, second int }

// valid reports whether there is such a day and time. Leap seconds are not: few who read RFC 3339 take them.
func (c clock) valid() bool {
	return c.year >= 0 && c.month >= 1 && c.month <= 12 && c.day >= 1 && c.day <= daysIn(c.year, c.month) &&
		c.hour >= 0 && c.hour <= 23 && c.minute >= 0 && c.minute <= 59 && c.second >= 0 && c.second <= 59
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// isDate reports whether text is a date such as 2026-11-30.
func isDate(text []byte) bool {
	return len(text) == 10 && text[4] == '-' && text[7] == '-' &&
		clock{year: digitsAt(text, 0, 4), month: digitsAt(text, 5, 2), day: digitsAt(text, 8, 2)}.valid()
}

// hms reads 13:55:36 into c.
func (c *clock) hms(text []byte) bool {
	if len(text) != 8 || text[2] != ':' || text[5] != ':' {
		return false
	}
	c.hour, c.minute, c.second = digitsAt(text, 0, 2), digitsAt(text, 3, 2), digitsAt(text, 6, 2)
	return true
}

// append writes the clock as the first 19 characters of RFC 3339.
func (c clock) append(dst []byte) []byte {
	two := func(sep byte, v int) { dst = append(dst, sep, byte('0'+v/10), byte('0'+v%10)) }
	dst = append(dst, byte('0'+c.year/1000), byte('0'+c.year/100%10), byte('0'+c.year/10%10), byte('0'+c.year%10))
	two('-', c.month)
	two('-', c.day)
	two('T', c.hour)
	two(':', c.minute)
	two(':', c.second)
	return dst
}

// appendIn writes the clock, which is that of a zone, with nanoseconds and the zone's offset as RFC 3339.
func (c clock) appendIn(dst []byte, nanos int, zone *time.Location) []byte {
	return time.Date(c.year, time.Month(c.month), c.day, c.hour, c.minute, c.second, nanos, zone).AppendFormat(dst, time.RFC3339Nano)
}

// appendApacheTime writes a time such as 10/Oct/2000:13:55:36 -0700 as RFC 3339 with the same offset.
func appendApacheTime(dst, text []byte) ([]byte, bool) {
	if len(text) != 26 || text[2] != '/' || text[6] != '/' || text[11] != ':' || text[20] != ' ' || text[21] != '+' && text[21] != '-' {
		return dst, false
	}
	c := clock{year: digitsAt(text, 7, 4), month: monthOf(text[3:6]), day: digitsAt(text, 0, 2)}
	hours, minutes := digitsAt(text, 22, 2), digitsAt(text, 24, 2)
	if !c.hms(text[12:20]) || !c.valid() || hours < 0 || hours > 23 || minutes < 0 || minutes > 59 {
		return dst, false
	}
	dst = append(c.append(dst), text[21:24]...)
	return append(append(dst, ':'), text[24:26]...), true
}

// appendNginxTime writes a time such as 2021/04/01 13:02:31 in a zone.
func appendNginxTime(zone *time.Location) func(dst, text []byte) ([]byte, bool) {
	return func(dst, text []byte) ([]byte, bool) {
		if len(text) != 19 || text[4] != '/' || text[7] != '/' || text[10] != ' ' {
			return dst, false
		}
		c := clock{year: digitsAt(text, 0, 4), month: digitsAt(text, 5, 2), day: digitsAt(text, 8, 2)}
		if !c.hms(text[11:]) || !c.valid() {
			return dst, false
		}
		return c.appendIn(dst, 0, zone), true
	}
}

// appendApacheErrorTime writes a time such as Wed Oct 11 14:32:52.123456 2000, whose fraction may be missing, in a zone.
func appendApacheErrorTime(zone *time.Location) func(dst, text []byte) ([]byte, bool) {
	return func(dst, text []byte) ([]byte, bool) {
		if len(text) < 24 || text[3] != ' ' || text[7] != ' ' || text[10] != ' ' || text[len(text)-5] != ' ' {
			return dst, false
		}
		day := text[8:10]
		if day[0] == ' ' {
			day = day[1:]
		}
		c := clock{year: digitsAt(text, len(text)-4, 4), month: monthOf(text[4:7]), day: digitsAt(day, 0, len(day))}
		nanos, ok := fraction(text[19 : len(text)-5])
		if !ok || !c.hms(text[11:19]) || !c.valid() {
			return dst, false
		}
		return c.appendIn(dst, nanos, zone), true
	}
}

// fraction reads a dot and up to nine digits as nanoseconds; nothing is 0.
func fraction(text []byte) (nanos int, ok bool) {
	if len(text) == 0 {
		return 0, true
	}
	if len(text) < 2 || len(text) > 10 || text[0] != '.' {
		return 0, false
	}
	nanos = digitsAt(text, 1, len(text)-1)
	for n := len(text) - 1; n < 9; n++ {
		nanos *= 10
	}
	return nanos, nanos >= 0
}
