package reference

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/leatstream/leat/transforms/builtin"
)

// example is the part of a pipeline file that an example shows: the stage and a test of it.
func example(key string, e *builtin.Example) string {
	var b strings.Builder
	fmt.Fprintf(&b, "transforms:\n  - name: %s\n    %s:", strings.ReplaceAll(key, "_", "-"), key)
	switch config := strings.TrimSpace(e.Config); {
	case config == "":
		b.WriteString(" {}\n")
	case strings.HasPrefix(config, "{") && !strings.Contains(config, "\n"):
		b.WriteString(" " + config + "\n")
	default:
		b.WriteString("\n      " + strings.ReplaceAll(config, "\n", "\n      ") + "\n")
	}
	fmt.Fprintf(&b, "tests:\n  - name: %s\n    input:\n", scalar(e.Title))
	for i, in := range e.Input {
		writeRecord(&b, "      - ", in, at(e.InputKey, i), e.Base64)
	}
	if len(e.Output) == 0 {
		b.WriteString("    output: { out: [] }\n")
	} else {
		b.WriteString("    output:\n      out:\n")
	}
	for i, out := range e.Output {
		writeRecord(&b, "        - ", out, at(e.Key, i), e.Base64)
	}
	if e.Dropped > 0 {
		fmt.Fprintf(&b, "    dropped: %d\n", e.Dropped)
	}
	if len(e.Failed) > 0 {
		b.WriteString("    dead:\n")
	}
	for _, code := range e.Failed {
		fmt.Fprintf(&b, "      - { code: %s }\n", code)
	}
	return b.String()
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// writeRecord writes one record of a test.
func writeRecord(b *strings.Builder, indent, data, key string, base64 bool) {
	switch {
	case base64 && key != "":
		fmt.Fprintf(b, "%s{ base64: %s, key: %s }\n", indent, quoted(data), quoted(key))
	case base64:
		fmt.Fprintf(b, "%s{ base64: %s }\n", indent, quoted(data))
	case key != "":
		fmt.Fprintf(b, "%s{ data: %s, key: %s }\n", indent, quoted(data), quoted(key))
	default:
		fmt.Fprintf(b, "%s%s\n", indent, scalar(data))
	}
}

// plain is text that YAML takes for text without quotes, in a block.
var plain = regexp.MustCompile(`^[A-Za-z](?:[A-Za-z0-9_./,()+=-]| [A-Za-z0-9_./,()+=-])*$`)

// word is text that YAML or JSON take for something else.
var word = regexp.MustCompile(`(?i)^(true|false|null|yes|no|on|off|y|n)$`)

// scalar writes text as YAML, with as few quotes as it needs.
func scalar(s string) string {
	if plain.MatchString(s) && !word.MatchString(s) {
		return s
	}
	return quoted(s)
}

// quoted writes text in quotes: single ones unless it holds control characters.
func quoted(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || r == '\ufeff' }) {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("reference: marshalling text: " + err.Error()) // strings always marshal
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// partitions lists the partition keys of outputs.
func partitions(list []map[string]string) string {
	var all []string
	for i, m := range list {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(m)) {
			pairs = append(pairs, "`"+name+"="+m[name]+"`")
		}
		if pairs == nil {
			pairs = []string{"none"}
		}
		all = append(all, fmt.Sprintf("%d: %s", i+1, strings.Join(pairs, ", ")))
	}
	return strings.Join(all, "; ")
}
