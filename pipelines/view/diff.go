package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/setting"
)

const (
	// maxChanges bounds the lines of a difference.
	maxChanges = 60
	// maxValue bounds one value in a difference of JSON, in bytes.
	maxValue = 200
)

// Diff shows what is different between two versions of a record's data: field by field if both are JSON objects or arrays,
// else line by line. It is empty if they are equal, or the same JSON.
func Diff(before, after []byte) []Line {
	if bytes.Equal(before, after) {
		return nil
	}
	var out []Line
	was, err1 := codec.JSONValue(before)
	is, err2 := codec.JSONValue(after)
	switch {
	case err1 == nil && err2 == nil && nested(was) && nested(is):
		out = fields(nil, "", was, is)
	case isText(before) && isText(after):
		out = texts(lines(before), lines(after))
		if !slices.ContainsFunc(out, func(l Line) bool { return l.Mark != Plain }) {
			out = []Line{{Changed, fmt.Sprintf("what is shown of it is the same (%s before, %s now)", setting.Bytes(len(before)).About(), setting.Bytes(len(after)).About())}}
		}
	default:
		out = append(marked(Removed, before), marked(Added, after)...)
	}
	if more := len(out) - maxChanges; more > 0 {
		out = append(out[:maxChanges], Line{Plain, fmt.Sprintf("… and %d more", more)})
	}
	return out
}

func nested(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

// fields compares two values at a path.
func fields(out []Line, path string, was, is any) []Line {
	switch was := was.(type) {
	case map[string]any:
		is, ok := is.(map[string]any)
		if !ok {
			break
		}
		for _, key := range slices.Sorted(maps.Keys(was)) {
			if now, there := is[key]; there {
				out = fields(out, join(path, key), was[key], now)
			} else {
				out = append(out, Line{Removed, join(path, key) + ": " + value(was[key])})
			}
		}
		for _, key := range slices.Sorted(maps.Keys(is)) {
			if _, there := was[key]; !there {
				out = append(out, Line{Added, join(path, key) + ": " + value(is[key])})
			}
		}
		return out
	case []any:
		is, ok := is.([]any)
		if !ok {
			break
		}
		for i := range max(len(was), len(is)) {
			at := fmt.Sprintf("%s[%d]", path, i)
			switch {
			case i >= len(is):
				out = append(out, Line{Removed, at + ": " + value(was[i])})
			case i >= len(was):
				out = append(out, Line{Added, at + ": " + value(is[i])})
			default:
				out = fields(out, at, was[i], is[i])
			}
		}
		return out
	}
	if !reflect.DeepEqual(was, is) {
		if path == "" {
			path = "."
		}
		out = append(out, Line{Changed, path + ": " + value(was) + " -> " + value(is)})
	}
	return out
}

var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// join writes a path as jq does.
func join(path, key string) string {
	if plainKey.MatchString(key) {
		return path + "." + key
	}
	quoted, _ := json.Marshal(key) // text always encodes
	if path == "" {
		path = "."
	}
	return path + "[" + Printable(string(quoted)) + "]"
}

func value(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // what was JSON is
	s := strings.TrimSuffix(b.String(), "\n")
	if len(s) > maxValue {
		s = strings.ToValidUTF8(s[:maxValue], "") + "…"
	}
	return Printable(s)
}

// texts compares lines, at most maxLines and one each, by their longest common subsequence.
func texts(was, is []string) (out []Line) {
	common := make([][]int, len(was)+1) // of was[i:] and is[j:]
	for i := range common {
		common[i] = make([]int, len(is)+1)
	}
	for i := len(was) - 1; i >= 0; i-- {
		for j := len(is) - 1; j >= 0; j-- {
			if was[i] == is[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(was) || j < len(is) {
		switch {
		case i < len(was) && j < len(is) && was[i] == is[j]:
			out = append(out, Line{Plain, was[i]})
			i, j = i+1, j+1
		case i < len(was) && (j == len(is) || common[i+1][j] >= common[i][j+1]):
			out = append(out, Line{Removed, was[i]})
			i++
		default:
			out = append(out, Line{Added, is[j]})
			j++
		}
	}
	return out
}
