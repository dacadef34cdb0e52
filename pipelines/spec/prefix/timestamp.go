package prefix

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// pattern is a compiled timestamp pattern.
type pattern []timeField

// timeField is a letter and how often it stands, or literal text (letter 0).
type timeField struct {
	letter byte
	count  int
	text   string
}

// maxLetters is how often each letter may stand, as in DateTimeFormatter but for what the package comment leaves out.
var maxLetters = map[byte]int{
	'y': 19, 'u': 19, 'Y': 19, 'M': 5, 'L': 5, 'Q': 5, 'q': 5, 'd': 2, 'D': 3, 'E': 5, 'e': 5, 'w': 2, 'W': 1, 'a': 1,
	'H': 2, 'k': 2, 'K': 2, 'h': 2, 'm': 2, 's': 2, 'S': 9, 'A': 19, 'n': 19, 'N': 19, 'X': 3, 'x': 3, 'Z': 3,
}

func compilePattern(s string) (pattern, error) {
	if s == "" {
		return nil, fmt.Errorf("the pattern is empty")
	}
	var p pattern
	literal := func(text string) {
		if n := len(p); n > 0 && p[n-1].letter == 0 {
			p[n-1].text += text
			return
		}
		p = append(p, timeField{text: text})
	}
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			n := 1
			for i+n < len(s) && s[i+n] == c {
				n++
			}
			most, ok := maxLetters[c]
			if !ok {
				return nil, fmt.Errorf("the letter %c is not supported; put text in single quotes", c)
			}
			if n > most {
				return nil, fmt.Errorf("%s has too many letters; %c can stand %d times", s[i:i+n], c, most)
			}
			p = append(p, timeField{letter: c, count: n})
			i += n
		case c == '\'':
			text, n, ok := cutQuoted(s[i:])
			if !ok {
				return nil, fmt.Errorf("a single quote is not closed")
			}
			literal(text)
			i += n
		case strings.IndexByte("[]{}#", c) >= 0:
			return nil, fmt.Errorf("the character %c is not supported; put text in single quotes", c)
		default:
			literal(s[i : i+1])
			i++
		}
	}
	return p, nil
}

// cutQuoted reads text in single quotes; ” within it, and alone, is a quote. n is the number of bytes read.
func cutQuoted(s string) (text string, n int, ok bool) {
	if strings.HasPrefix(s, "''") {
		return "'", 2, true
	}
	for n = 1; n < len(s); {
		i := strings.IndexByte(s[n:], '\'')
		if i < 0 {
			break
		}
		text += s[n : n+i]
		n += i + 1
		if n >= len(s) || s[n] != '\'' {
			return text, n, true
		}
		text += "'"
		n++
	}
	return "", 0, false
}

// maxLen is the most bytes that the pattern can give for the years 1 to 9999.
func (p pattern) maxLen() int {
	total := 0
	for _, f := range p {
		switch f.letter {
		case 0:
			total += len(f.text)
		case 'Q', 'q', 'E', 'e', 'M', 'L':
			total += len("1st quarter")
		case 'N':
			total += max(f.count, len("86399999999999"))
		default:
			total += max(f.count, len("999999999"))
		}
	}
	return total
}

func (p pattern) append(dst []byte, t time.Time) []byte {
	for i := range p {
		if p[i].letter == 0 {
			dst = append(dst, p[i].text...)
			continue
		}
		dst = p[i].append(dst, t)
	}
	return dst
}

func (f *timeField) append(dst []byte, t time.Time) []byte {
	midnight := func() time.Duration {
		return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute +
			time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
	}
	switch f.letter {
	case 'y', 'u':
		return f.year(dst, t.Year())
	case 'Y':
		year, _ := week(t)
		return f.year(dst, year)
	case 'w':
		_, w := week(t)
		return f.number(dst, int64(w))
	case 'W':
		first := int(t.Weekday()) - (t.Day()-1)%7
		return f.number(dst, int64((t.Day()-1+(first+7)%7)/7+1))
	case 'M', 'L':
		return f.word(dst, int(t.Month()), t.Month().String())
	case 'Q', 'q':
		return f.quarter(dst, (int(t.Month())+2)/3)
	case 'd':
		return f.number(dst, int64(t.Day()))
	case 'D':
		return f.number(dst, int64(t.YearDay()))
	case 'E':
		return (&timeField{count: max(f.count, 3)}).word(dst, 0, t.Weekday().String())
	case 'e':
		return f.word(dst, int(t.Weekday())+1, t.Weekday().String())
	case 'a':
		if t.Hour() < 12 {
			return append(dst, "AM"...)
		}
		return append(dst, "PM"...)
	case 'H':
		return f.number(dst, int64(t.Hour()))
	case 'k':
		return f.number(dst, int64((t.Hour()+23)%24+1))
	case 'K':
		return f.number(dst, int64(t.Hour()%12))
	case 'h':
		return f.number(dst, int64((t.Hour()+11)%12+1))
	case 'm':
		return f.number(dst, int64(t.Minute()))
	case 's':
		return f.number(dst, int64(t.Second()))
	case 'S':
		var digits [9]byte
		return append(dst, pad(digits[:0], int64(t.Nanosecond()), 9)[:f.count]...)
	case 'A':
		return f.number(dst, midnight().Milliseconds())
	case 'n':
		return f.number(dst, int64(t.Nanosecond()))
	case 'N':
		return f.number(dst, int64(midnight()))
	default: // X, x, Z
		return f.offset(dst, t)
	}
}

func pad(dst []byte, v int64, width int) []byte {
	var buf [20]byte
	digits := strconv.AppendInt(buf[:0], v, 10)
	for i := len(digits); i < width; i++ {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

func (f *timeField) number(dst []byte, v int64) []byte { return pad(dst, v, f.count) }

func (f *timeField) year(dst []byte, year int) []byte {
	if f.count == 2 {
		return pad(dst, int64(year%100), 2)
	}
	return pad(dst, int64(year), f.count)
}

// word writes one or two letters as the number, three as the first three letters of the name, four as the name, five as
// its first letter.
func (f *timeField) word(dst []byte, number int, name string) []byte {
	switch f.count {
	case 1, 2:
		return f.number(dst, int64(number))
	case 3:
		return append(dst, name[:3]...)
	case 4:
		return append(dst, name...)
	default:
		return append(dst, name[0])
	}
}

func (f *timeField) quarter(dst []byte, q int) []byte {
	switch f.count {
	case 1, 2:
		return f.number(dst, int64(q))
	case 3:
		return append(dst, 'Q', '0'+byte(q))
	case 4:
		return append(dst, [...]string{"1st", "2nd", "3rd", "4th"}[q-1]+" quarter"...)
	default:
		return append(dst, '0'+byte(q))
	}
}

func (f *timeField) offset(dst []byte, t time.Time) []byte {
	_, seconds := t.Zone()
	if seconds == 0 && f.letter == 'X' {
		return append(dst, 'Z')
	}
	sign := byte('+')
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	hours, minutes := int64(seconds/3600), int64(seconds/60%60)
	dst = pad(append(dst, sign), hours, 2)
	switch {
	case f.letter != 'Z' && f.count == 1:
		if minutes == 0 {
			return dst
		}
	case f.letter != 'Z' && f.count == 3:
		dst = append(dst, ':')
	}
	return pad(dst, minutes, 2)
}

// week returns the week-based year and the week by Locale.US: weeks begin on Sunday, week 1 holds January 1.
func week(t time.Time) (year, n int) {
	year = t.Year()
	days := time.Date(year, 12, 31, 0, 0, 0, 0, time.UTC).YearDay()
	sunday := t.YearDay() - int(t.Weekday()) // of this week; may be in the year before
	if sunday+6 > days {
		return year + 1, 1
	}
	return year, (sunday+5)/7 + 1
}
