package main

// vowels counts the vowels of a record.
func vowels(b []byte) (n uint32) {
	for _, c := range b {
		switch c | 0x20 {
		case 'a', 'e', 'i', 'o', 'u':
			n++
		}
	}
	return n
}

// upper appends a record in capital letters.
func upper(to, b []byte) []byte {
	for _, c := range b {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		to = append(to, c)
	}
	return to
}
