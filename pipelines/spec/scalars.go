package spec

import "github.com/leatstream/leat/core/setting"

// What the types are made of; transforms declare their own configurations with it.
type (
	Node     = setting.Node
	Bytes    = setting.Bytes
	Duration = setting.Duration
	Share    = setting.Share
	Value    = setting.Value
	Secret   = setting.Secret
	Pairs    = setting.Pairs

	SecretPairs = setting.SecretPairs
	Credentials = setting.Credentials
)

// ParseBytes reads a size: a whole number and a unit, without a space.
func ParseBytes(s string) (Bytes, error) { return setting.ParseBytes(s) }

// ParseDuration reads a duration; it is never negative.
func ParseDuration(s string) (Duration, error) { return setting.ParseDuration(s) }

// Base64 is bytes that are written in base64 (RFC 4648, with padding).
type Base64 []byte
