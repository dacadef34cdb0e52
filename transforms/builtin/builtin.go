// Package builtin has the transforms that leat brings along, in Go: one file each, with its configuration, its code and
// its reference page in it.
//
// A configuration is a struct that embeds [setting.Node] and has the tags of pipelines/spec/types.go, where the pipeline
// file's key for it is listed. It is a [Config]: the parser fills it, Open checks what tags cannot say and makes the
// transform. Its [Doc] becomes the page in docs/transforms, whose examples tests run as they are shown.
//
// A transform looks at one record at a time (see each), keeps no state unless its page says so, allocates no memory that
// grows with what it has seen, and fails a record that it cannot work on, with a code that begins with its name.
package builtin

import (
	"context"
	"log/slog"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/setting"
	"github.com/leatstream/leat/core/stage"
)

// Config is the configuration of a built-in transform.
type Config interface {
	// Open checks the configuration and makes the transform. Errors are [*fault.Error] with the place of the setting.
	Open(ctx context.Context, env Env) (stage.Transform, error)
	// Doc is the text of its reference page.
	Doc() Doc
}

// PerSink is implemented by configurations of transforms that keep state from record to record. Each sink reads the stream by
// itself, at its own pace, and so has a transform of its own.
type PerSink interface{ PerSink() }

// IsPerSink reports whether c is [PerSink].
func IsPerSink(c Config) bool {
	_, ok := c.(PerSink)
	return ok
}

// Env is what a transform gets besides its configuration.
type Env struct {
	Pipeline, Stage string
	// Logger already has the names of pipeline and stage; it is never nil.
	Logger *slog.Logger
}

// Doc describes a built-in transform to its users.
type Doc struct {
	// Summary is one sentence that begins with a verb: "Makes JSON objects of CSV rows."
	Summary string
	// Text says in Markdown what settings and examples do not.
	Text string
	// Codes are those that records fail with, and what they mean.
	Codes    []Code
	Examples []Example
}

// Code is a code of failed records.
type Code struct{ Name, Meaning string }

// Example is a configuration and what it makes of records. Tests run it as it is shown.
type Example struct {
	Title string
	// Config is YAML: what stands in the pipeline file under the transform's key.
	Config string
	// Files are those that Config names, by their names, and what is in them.
	Files map[string]string
	// Input are the records' data; Base64 says that they and the outputs are in base64. InputKey, if there are any, are their
	// partition keys.
	Input    []string
	InputKey []string
	Output   []string
	Base64   bool
	// Partition and Key, if there are any, are those of the outputs.
	Key       []string
	Partition []map[string]string
	// Dropped is how many records end here, and Failed has the code of each record that fails, in order.
	Dropped int
	Failed  []string
}

// invalid is an error about the setting key of a configuration.
func invalid(n *setting.Node, key, code, format string, args ...any) *fault.Error {
	return fault.New(fault.Permanent, code, format, args...).At(n.PlaceOf(key))
}
