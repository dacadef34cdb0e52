// Package spec reads pipeline files: the types, a strict parser whose errors point at the line, environment and secrets,
// --set, validation, and the JSON schema.
//
// A file holds one or more YAML documents; each is one [Pipeline]. The language is strict: an unknown or doubled key, a
// value of the wrong type or out of range is an error, and all errors of a load are reported together ([Errors]).
// Anchors and aliases work within a document, bounded in depth and number of nodes; merge keys (<<) do not, because what
// they override cannot be seen where it is written. Tags (!!str) are refused.
//
// # Values
//
// Sizes are whole numbers with a unit: B, KiB, MiB, GiB, TiB, or kB, MB, GB, TB for powers of ten. Durations are as in Go,
// with d for days of 24 hours: 500ms, 60s, 1h30m, 7d. A quoted scalar is text: "4" is not a number. A relative path is
// relative to the folder of the file.
//
// # Environment
//
// In scalar values, never in keys: ${X} is the variable X and an error if it is not set; ${X:-text} is text if X is not
// set or empty; ${X:?text} is an error with that text in the same cases; $${ is a literal ${. There is no nesting.
// Substitution happens after parsing: what a variable holds can never become YAML structure, and the field that the
// value lands in decides its type (shards: "${SHARDS}" is a number). In free-form values (a transform's config) an
// unquoted ${X} that spells a JSON number, true or false is that; anything else is text. Inside { } and [ ] YAML itself
// needs quotes around "${X}".
//
// # Secrets
//
// Fields that are made for it take {secret: env:NAME} or {secret: file:PATH}. A [Secret] is read when it is used, so that a
// rotated file is seen, and never shown: its String, GoString, MarshalJSON and LogValue are "***".
//
// # One description
//
// The struct tags in types.go are the only description of the language: the parser, the defaults, the range checks and
// the JSON schema ([Schema]) all read them through [reflect], so that they cannot differ.
package spec
