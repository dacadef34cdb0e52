package builtin

import (
	"bytes"
	"net/netip"
)

// A detector finds the first thing of its kind in text at or after from; start is -1 if there is none. The time of a search through
// a text grows with its length alone.
type detector func(text []byte, from int) (start, end int)

// needs are classes of characters without which a text holds nothing of a kind.
type needs uint8

const (
	someAt needs = 1 << iota
	someDigit
	someDot
	someColon
	someDash
	someUpper
	someEscape // a backslash, or what is not ASCII

	allNeeds = 1<<iota - 1
)

// classes are the classes of each byte.
var classes = func() (c [256]needs) {
	for b := range c {
		switch {
		case b == '@':
			c[b] = someAt
		case '0' <= b && b <= '9':
			c[b] = someDigit
		case b == '.':
			c[b] = someDot
		case b == ':':
			c[b] = someColon
		case b == '-':
			c[b] = someDash
		case 'A' <= b && b <= 'Z':
			c[b] = someUpper
		case b == '\\' || b >= 0x80:
			c[b] = someEscape
		}
	}
	return c
}()

// detectors are the kinds that redact knows. A text of fewer bytes than least holds nothing of a kind.
var detectors = []struct {
	name   string
	needs  needs
	least  int
	detect detector
}{
	{"email", someAt | someDot, 5, detectEmail},
	{"credit_card", someDigit, 13, detectCard},
	{"ipv4", someDigit | someDot, 7, detectIPv4},
	{"ipv6", someColon, 3, detectIPv6},
	{"mac", 0, 17, detectMAC},
	{"iban", someDigit | someUpper, 15, detectIBAN},
	{"us_ssn", someDigit | someDash, 11, detectSSN},
	{"jwt", someDot | someUpper, 5, detectJWT},
	{"aws_access_key_id", someUpper, 20, detectAccessKey},
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isWord(c byte) bool  { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' }

// before and after report whether the byte beside a place is of a kind.
func before(text []byte, i int, kind func(byte) bool) bool { return i > 0 && kind(text[i-1]) }
func after(text []byte, i int, kind func(byte) bool) bool  { return i < len(text) && kind(text[i]) }

// detectEmail finds addresses with a domain of at least two labels. Of the odd characters that RFC 5322 allows before the @, only those
// that people have in addresses belong to one: user=a@example.com is a name and an address.
func detectEmail(text []byte, from int) (start, end int) {
	for at := from; ; at++ {
		n := bytes.IndexByte(text[at:], '@')
		if n < 0 {
			return -1, -1
		}
		at += n
		start = at
		for start > from && isEmailLocal(text[start-1]) {
			start--
		}
		end = at + 1
		dots, label := 0, 0 // since the last dot
		for i := at + 1; i < len(text); i++ {
			c := text[i]
			if c == '.' && label > 0 {
				dots, label = dots+1, 0
				continue
			}
			if !isWord(c) && c != '-' && c < 0x80 {
				break
			}
			if label++; dots > 0 {
				end = i + 1
			}
		}
		if start < at && end > at+1 {
			return start, end
		}
	}
}

func isEmailLocal(c byte) bool {
	return isWord(c) || c >= 0x80 || c == '.' || c == '+' || c == '-' || c == '%' || c == '\''
}

// detectCard finds the numbers of payment cards: 13 to 19 digits from 2 on, with at most one space or dash between two of them, whose
// check digit is right (ISO/IEC 7812-1, annex B).
func detectCard(text []byte, from int) (start, end int) {
	const most = 19
	var digits [most + 1]byte
	for i := from; i < len(text); {
		if !isDigit(text[i]) {
			i++
			continue
		}
		group := i // of digits, where it ends
		for group < len(text) && isDigit(text[group]) {
			group++
		}
		if before(text, i, isDigit) { // within what was redacted before
			i = group
			continue
		}
		end, n := -1, 0
		for j := i; ; {
			for j < len(text) && isDigit(text[j]) && n <= most {
				digits[n] = text[j] - '0'
				n, j = n+1, j+1
			}
			if n > most {
				break
			}
			if n >= 13 && digits[0] >= 2 && digits[0] <= 6 && luhn(digits[:n]) {
				end = j
			}
			if j+1 >= len(text) || text[j] != ' ' && text[j] != '-' || !isDigit(text[j+1]) {
				break
			}
			j++
		}
		if end >= 0 {
			return i, end
		}
		i = group
	}
	return -1, -1
}

func luhn(digits []byte) bool {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i])
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// detectIPv4 finds four numbers up to 255 with dots between them, and no more of either around them.
func detectIPv4(text []byte, from int) (start, end int) {
	dot := func(c byte) bool { return c == '.' }
	for i := from; i < len(text); i++ {
		if !isDigit(text[i]) || before(text, i, isDigit) || before(text, i, dot) && before(text, i-1, isDigit) {
			continue
		}
		j, parts := i, 0
		for parts < 4 {
			v, k := 0, j
			for k < len(text) && k < j+4 && isDigit(text[k]) {
				v, k = v*10+int(text[k]-'0'), k+1
			}
			if k == j || k > j+3 || v > 255 {
				break
			}
			if j, parts = k, parts+1; parts < 4 {
				if !after(text, j, dot) {
					break
				}
				j++
			}
		}
		if parts == 4 && !after(text, j, isDigit) && !(after(text, j, dot) && after(text, j+1, isDigit)) {
			return i, j
		}
	}
	return -1, -1
}

// maxIPv6 is longer than any text of an address.
const maxIPv6 = 64

// detectIPv6 finds addresses as RFC 4291 writes them, also with a port or a name and a colon around them.
func detectIPv6(text []byte, from int) (start, end int) {
	part := func(c byte) bool { return isHex(c) || c == ':' || c == '.' }
	for i := from; i < len(text); {
		n := bytes.IndexByte(text[i:], ':')
		if n < 0 {
			break
		}
		lo, hi := i+n, i+n+1
		for lo > from && part(text[lo-1]) {
			lo--
		}
		for hi < len(text) && part(text[hi]) {
			hi++
		}
		i = hi
		colons := bytes.Count(text[lo:hi], []byte{':'})
		if hi-lo > maxIPv6 || colons > 9 || colons < 7 && !bytes.Contains(text[lo:hi], []byte("::")) {
			continue
		}
		if !holdsAddress(text, lo, hi) {
			continue
		}
		// All of the run goes: which of its groups are the address, and which a port or a name, it does not say.
		if text[lo] == ':' && text[lo+1] != ':' {
			lo++
		}
		if c := text[hi-1]; (c == '.' || c == ':') && text[hi-2] != ':' {
			hi--
		}
		return lo, hi
	}
	return -1, -1
}

// holdsAddress reports whether whole groups of a run of an address's characters are an address.
func holdsAddress(text []byte, lo, hi int) bool {
	for s := lo; s < hi; s++ {
		// An address begins where its run does, or behind a colon.
		if s > lo && text[s-1] != ':' || s == lo && before(text, lo, isWord) && isHex(text[s]) {
			continue
		}
		for e := hi; e > s+2; e-- {
			if e < hi && text[e] != ':' && text[e] != '.' || e == hi && after(text, hi, isWord) && isHex(text[e-1]) {
				continue
			}
			if a, err := netip.ParseAddr(string(text[s:e])); err == nil && a.Is6() && !a.IsUnspecified() {
				return true
			}
		}
	}
	return false
}

// detectMAC finds six pairs of hexadecimal digits with colons or dashes between them.
func detectMAC(text []byte, from int) (start, end int) {
	const size = 17
	for i := from; i+size <= len(text); i++ {
		sep := text[i+2]
		if sep != ':' && sep != '-' || before(text, i, isWord) || before(text, i, func(c byte) bool { return c == sep }) {
			continue
		}
		n := 0
		for n < size && (n%3 == 2 && text[i+n] == sep || n%3 != 2 && isHex(text[i+n])) {
			n++
		}
		if n == size && !after(text, i+n, isWord) && !after(text, i+n, func(c byte) bool { return c == sep }) {
			return i, i + n
		}
	}
	return -1, -1
}
