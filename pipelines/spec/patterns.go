package spec

import "regexp"

// pattern is a named rule for text; the expression is understood alike by Go and by JSON schema validators.
type pattern struct {
	re   *regexp.Regexp
	want string
}

func rule(expr, want string) pattern { return pattern{regexp.MustCompile(expr), want} }

var patterns = map[string]pattern{
	// Firehose's rule for the name of a delivery stream.
	"name": rule(`^[a-zA-Z0-9_.-]{1,64}$`, "1 to 64 of letters, digits, _ . and -"),
	// Kinesis's rule for the name of a stream.
	"stream": rule(`^[a-zA-Z0-9_.-]{1,128}$`, "1 to 128 of letters, digits, _ . and -"),
	// Kinesis's bound of a partition key.
	"key": rule(`^[\s\S]{1,256}$`, "1 to 256 characters"),
	// Firehose's rule for FileExtension.
	"extension":     rule(`^\.[0-9a-zA-Z!_.*'()-]{1,127}$`, "a dot and then letters, digits or !-_.*'()"),
	"url":           rule(`^https?://[^/?#\s@]+/?$`, "http:// or https://, a host, and nothing after it"),
	"endpoint":      rule(`^https?://[^/?#\s@]+(/[^#\s]*)?$`, "http:// or https://, a host and a path"),
	"bucket":        rule(`^[a-zA-Z0-9][a-zA-Z0-9._-]{1,61}[a-zA-Z0-9]$`, "3 to 63 of letters, digits, . and -"),
	"region":        rule(`^[a-zA-Z0-9-]{1,64}$`, "letters, digits and -"),
	"storage_class": rule(`^[A-Z0-9_]{1,64}$`, "capital letters, digits and _"),
	"partition":     rule(`^[a-zA-Z0-9_-]{1,128}$`, "1 to 128 of letters, digits, _ and -"),
}
