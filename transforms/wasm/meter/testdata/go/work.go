// Command work is what Go's compiler makes of usual work: loops over bytes, maps, sorting, JSON, closures, recursion and panics.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

func main() {}

// text is n lines that look like records.
func text(n int32) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `{"id":%d,"name":"Sparrow %d","cost":%d.5,"tags":["wing","strike"],"ok":%t}`+"\n", i, i%7, i*3, i%2 == 0)
	}
	return b.Bytes()
}

//go:wasmexport upper
func upper(n int32) int32 {
	b := bytes.Repeat([]byte("some text "), int(n))
	sum := int32(0)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
		sum = sum*31 + int32(b[i])
	}
	return sum
}

//go:wasmexport parse
func parse(n int32) int32 {
	sum := 0.0
	for line := range bytes.Lines(text(n)) {
		var v map[string]any
		if err := json.Unmarshal(line, &v); err != nil {
			panic(err)
		}
		sum += v["cost"].(float64)
	}
	return int32(sum)
}

//go:wasmexport words
func words(n int32) int32 {
	count := map[string]int{}
	for word := range strings.FieldsFuncSeq(string(text(n)), func(r rune) bool { return strings.ContainsRune(`{}":,[]`, r) }) {
		count[word]++
	}
	keys := make([]string, 0, len(count))
	for k := range count {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int { return count[b] - count[a] + strings.Compare(a, b)/2 })
	return int32(len(keys)) + int32(count["wing"])
}

func fibonacci(n int32) int32 {
	if n < 2 {
		return n
	}
	return fibonacci(n-1) + fibonacci(n-2)
}

//go:wasmexport tree
func tree(n int32) int32 { return fibonacci(n % 24) }

//go:wasmexport panics
func panics(n int32) (sum int32) {
	for i := range n % 50 {
		func() {
			defer func() {
				if recover() != nil {
					sum++
				}
			}()
			sum += 100 / (i % 3)
		}()
	}
	return sum
}

// next is a switch in a loop, as generated parsers are.
//
//go:wasmexport next
func next(n int32) int32 {
	state, sum := 0, int32(0)
	for i := int32(0); i < n; {
		switch state {
		case 0:
			state = int(i % 5)
			sum++
			i++
		case 1:
			for uint32(sum)%7 != 3 {
				sum += 2
			}
			state = 3
		case 2:
			if sum&1 == 0 {
				state = 4
				continue
			}
			sum *= 3
			state = 0
		case 3:
			goto skip
		default:
			state = 1
		}
		sum ^= i
		continue
	skip:
		i += 2
		state = 2
	}
	return sum
}
