package lambda

import (
	"cmp"
	"log/slog"
	"runtime"
	"strings"

	"github.com/leatstream/leat/core/arn"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
)

// Limits of the contract. Sources: the Firehose developer guide, "Data transformation" and "Dynamic partitioning".
const (
	// MaxPayload bounds an event and a response in bytes, as they are on the wire: what a synchronous invocation of a Lambda
	// function takes and returns.
	MaxPayload = 6 << 20
	// MaxPartitionKeys is how many partition keys a record may have.
	MaxPartitionKeys = 50
	// MaxPartitionName and MaxPartitionValue bound one of them, in bytes. Firehose documents no bounds; an object's key takes 1,024.
	MaxPartitionName  = 128
	MaxPartitionValue = 1024
)

// Modes of a handler that is a program.
const (
	// Stream keeps the handler running: one event is one line of its input, one response one line of its output.
	Stream = "stream"
	// Once runs the handler for each event: the event is all of its input, the response all of its output.
	Once = "once"
)

// What is done when the handler cannot be asked.
const (
	// Wait keeps the records in the stream and asks again.
	Wait = "wait"
	// Fail gives the records up after the retries, as Firehose does.
	Fail = "fail"
)

// Config is the transform's configuration in a pipeline file.
type Config struct {
	setting.Node
	Command []string         `yaml:"command" oneof:"handler" items:"1..1000" doc:"A program and its arguments. It runs in the folder of the pipeline file."`
	WASI    string           `yaml:"wasi" oneof:"handler" path:"file" doc:"A WebAssembly program with WASI preview 1: a .wasm file, or a folder of Go source that is built and cached."`
	URL     string           `yaml:"url" oneof:"handler" match:"endpoint" doc:"An endpoint that takes events by POST, such as http://localhost:8080/2015-03-31/functions/function/invocations."`
	Mode    string           `yaml:"mode" default:"stream" enum:"stream|once" doc:"How a program gets events: stream, one a line for as long as it runs; once, one a run."`
	Workers int              `yaml:"workers" default:"0" range:"0..1024" doc:"Events that are handled at the same time, each by a process, an instance or a connection of its own; 0 for one a core."`
	Timeout setting.Duration `yaml:"timeout" default:"60s" range:"10ms..15m" doc:"Longest time from an event to its response."`
	Buffer  setting.Bytes    `yaml:"buffer" default:"1MiB" range:"200KiB..3MiB" doc:"Most data in one event, before base64; a larger record has an event of its own."`
	Retries int              `yaml:"retries" default:"3" range:"0..300" doc:"How often a handler that cannot be asked is tried again before when_unavailable says what happens."`
	// WhenUnavailable is Wait or Fail.
	WhenUnavailable string              `yaml:"when_unavailable" default:"wait" enum:"wait|fail" doc:"What happens after the retries: wait keeps the records in the stream and goes on trying after 1 s, 2 s and so on up to 1 min; fail fails them, as Firehose does."`
	Env             setting.SecretPairs `yaml:"env" items:"0..1000" doc:"Environment of a program, besides PATH, HOME, TZ and LANG: text or secrets."`
	Memory          setting.Bytes       `yaml:"memory" default:"64MiB" range:"1MiB..4GiB" doc:"Most memory of one instance of a WebAssembly program."`
}

// Env is what a transform gets besides its configuration.
type Env struct {
	Pipeline, Stage string
	// Logger already has the names of pipeline and stage; nil discards.
	Logger *slog.Logger
	// Dir is the folder that programs run in: that of the pipeline file.
	Dir string
	// Module is the path of the WebAssembly program's file, after a folder has been built.
	Module string
	// Owner, the pipeline as the name of a delivery stream, and Stream, the name of its Kinesis stream if it has one, make the ARNs in every
	// event.
	Owner  arn.Owner
	Stream string
	// SequenceNumber renders a record's sequence number as the stream's API does; nil and "" are its position in the shard.
	SequenceNumber func(*record.Record) string
	// Count gets how often a program was started again (restarts) and an event was sent again (retries); nil discards it.
	Count func(name string, n int64)
	// Lookup reads leat's own environment; nil is os.LookupEnv.
	Lookup func(string) (string, bool)
	// CacheDir keeps compiled WebAssembly programs; empty is leat/wasm in the user's cache.
	CacheDir string
}

// check reports what tags cannot say, and fills in what the machine decides.
func (c *Config) check(env *Env) error {
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	env.Logger = cmp.Or(env.Logger, slog.New(slog.DiscardHandler))
	if env.Count == nil {
		env.Count = func(string, int64) {}
	}
	for _, p := range c.Env {
		if p.Name == "" || strings.ContainsAny(p.Name, "=\x00") {
			return fault.New(fault.Permanent, CodeInvalidConfig, "env: %q cannot be the name of a variable", p.Name).At(p.Place)
		}
	}
	for _, only := range []struct {
		key  string
		fits bool
		to   string
	}{
		{"mode", c.URL == "", "programs, not an endpoint"},
		{"env", c.URL == "", "programs, not an endpoint"},
		{"memory", c.WASI != "", "a WebAssembly program"},
	} {
		if c.Has(only.key) && !only.fits {
			return fault.New(fault.Permanent, CodeInvalidConfig, "%s is a setting of %s", only.key, only.to).At(c.PlaceOf(only.key))
		}
	}
	if len(c.Command) > 0 && c.Command[0] == "" {
		return fault.New(fault.Permanent, CodeInvalidConfig, "command begins with nothing; its first item is the program").At(c.PlaceOf("command"))
	}
	return nil
}
