package leatjson

import "strconv"

// AppendNumber appends the number that text is, digit by digit, so that no precision is lost: without a plus sign and leading
// zeros, which JSON does not have. ok is false, and dst as it was, if text is not a decimal number, or not one that fits 64
// bits: as an int64 if it is to be an integer, else as a float64.
func AppendNumber(dst, text []byte, integer bool) (_ []byte, ok bool) {
	from := len(dst)
	i := 0
	count := func() int {
		start := i
		for i < len(text) && '0' <= text[i] && text[i] <= '9' {
			i++
		}
		return i - start
	}
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		if text[0] == '-' {
			dst = append(dst, '-')
		}
		i++
	}
	whole := i
	n := count()
	if n == 0 {
		return dst[:from], false
	}
	for whole < i-1 && text[whole] == '0' {
		whole++
	}
	sure := n <= 18 // it fits, whatever the digits are
	if !integer {
		sure = n < 300
		if i < len(text) && text[i] == '.' {
			if i++; count() == 0 {
				return dst[:from], false
			}
		}
		if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
			sure = false
			if i++; i < len(text) && (text[i] == '-' || text[i] == '+') {
				i++
			}
			if count() == 0 {
				return dst[:from], false
			}
		}
	}
	dst = append(dst, text[whole:i]...)
	if i < len(text) || !sure && !fits(dst[from:], integer) {
		return dst[:from], false
	}
	return dst, true
}

// fits reports whether 64 bits can hold the number.
func fits(text []byte, integer bool) bool {
	var err error
	if integer {
		_, err = strconv.ParseInt(string(text), 10, 64)
	} else {
		_, err = strconv.ParseFloat(string(text), 64)
	}
	return err == nil
}
