package builtin

import "bytes"

// detectIBAN finds account numbers by ISO 13616: a country, two check digits and 11 to 30 capital letters and digits, with at most one
// space between two of them, whose check digits are right.
func detectIBAN(text []byte, from int) (start, end int) {
	for i := from; i+15 <= len(text); i++ {
		if !isUpper(text[i]) || !isUpper(text[i+1]) || !isDigit(text[i+2]) || !isDigit(text[i+3]) || before(text, i, isWord) {
			continue
		}
		var chars [34]byte
		end, n := -1, 0
		for j := i; j < len(text) && n < len(chars); {
			if isDigit(text[j]) || isUpper(text[j]) {
				chars[n] = text[j]
				n, j = n+1, j+1
				if n >= 15 && !after(text, j, isWord) && mod97(chars[:n]) {
					end = j
				}
				continue
			}
			if text[j] != ' ' || !after(text, j+1, func(c byte) bool { return isDigit(c) || isUpper(c) }) {
				break
			}
			j++
		}
		if end >= 0 {
			return i, end
		}
	}
	return -1, -1
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// mod97 reports whether the check digits are right (ISO/IEC 7064, MOD 97-10).
func mod97(chars []byte) bool {
	rest := 0
	for i := range chars {
		c := chars[(i+4)%len(chars)]
		if isDigit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	return rest == 1
}

// detectSSN finds social security numbers of the United States, with dashes.
func detectSSN(text []byte, from int) (start, end int) {
	const form = "ddd-dd-dddd"
	for i := from; i+len(form) <= len(text); i++ {
		if !isDigit(text[i]) || before(text, i, isDigit) {
			continue
		}
		n := 0
		for n < len(form) && (form[n] == 'd' && isDigit(text[i+n]) || form[n] == '-' && text[i+n] == '-') {
			n++
		}
		if n < len(form) || after(text, i+n, isDigit) {
			continue
		}
		area := string(text[i : i+3])
		if area != "000" && area != "666" && area[0] != '9' && string(text[i+4:i+6]) != "00" && string(text[i+7:i+11]) != "0000" {
			return i, i + n
		}
	}
	return -1, -1
}

// detectJWT finds JSON web tokens: three parts in base64url, of which the first is a JSON object.
func detectJWT(text []byte, from int) (start, end int) {
	part := func(c byte) bool { return isWord(c) || c == '-' }
	for i := from; ; {
		n := bytes.Index(text[i:], []byte("eyJ"))
		if n < 0 {
			return -1, -1
		}
		start = i + n
		end = start
		dots := 0
		for end < len(text) && (part(text[end]) || text[end] == '.' && dots < 2 && text[end-1] != '.') {
			if text[end] == '.' {
				dots++
			}
			end++
		}
		if dots == 2 {
			return start, end
		}
		i = end
	}
}

// detectAccessKey finds the ids of access keys of AWS, long-term (AKIA) and temporary ones (ASIA).
func detectAccessKey(text []byte, from int) (start, end int) {
	const size = 20
	code := func(c byte) bool { return isUpper(c) || isDigit(c) }
	for i := from; ; i++ {
		n := bytes.Index(text[i:], []byte("IA"))
		if n < 0 {
			return -1, -1
		}
		i += n
		start = i - 2
		if start < from || start+size > len(text) || text[start] != 'A' || text[start+1] != 'K' && text[start+1] != 'S' || before(text, start, code) {
			continue
		}
		end = start
		for end < start+size && code(text[end]) {
			end++
		}
		if end == start+size && !after(text, end, code) {
			return start, end
		}
	}
}
