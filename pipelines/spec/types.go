package spec

import (
	"time"

	"github.com/leatstream/leat/transforms/builtin"
	"github.com/leatstream/leat/transforms/lambda"
)

// Tags of a field:
//
//	yaml:"key,required"  the key in the file
//	default:"5MiB"       what an absent key means, as it would be written
//	range:"1..10"        inclusive bounds, in the field's own notation; either side may be empty
//	enum:"a|b"           the only values of a text field
//	match:"name"         a named pattern of patterns.go
//	oneof:"group"        exactly one field of the group is given; oneof:"group?" at most one
//	path:"file|glob"     relative to the folder of the pipeline file
//	items:"0..50"        how many items a list or mapping may have
//	doc:"…"              the description in the JSON schema

// Pipeline is one document of a pipeline file.
type Pipeline struct {
	Node
	Version     int          `yaml:"version,required" range:"1..1" doc:"Version of the file format."`
	Name        string       `yaml:"pipeline,required" match:"name" doc:"Name of the pipeline, unique within a server."`
	Source      Source       `yaml:"source,required" doc:"The stream to read, and what feeds it."`
	Transforms  []Transform  `yaml:"transforms" items:"0..64" doc:"Stages that every record passes, in order."`
	Sinks       []Sink       `yaml:"sinks,required" items:"1..64" doc:"Destinations. Each gets every record."`
	DeadLetters *DeadLetters `yaml:"dead_letters" doc:"Where records go that cannot be delivered."`
	Tests       []Test       `yaml:"tests" items:"0..10000" doc:"Tests that leat test runs without storing anything."`

	// File is the path of the file as it was given, Dir its folder.
	File, Dir string
}

// Source is the stream that a pipeline reads.
type Source struct {
	Node
	Stream Stream       `yaml:"stream,required" doc:"The stream; created if it is missing."`
	From   From         `yaml:"from" default:"trim_horizon" doc:"Where a pipeline without a checkpoint starts."`
	Files  []FileSource `yaml:"files" items:"0..1000" doc:"Files whose lines are fed into the stream."`
}

// Stream names a stream and says how to create it. Written as text it is the name alone.
type Stream struct {
	Node
	Name      string       `yaml:"name,required" match:"stream" doc:"Name of the stream."`
	Shards    int          `yaml:"shards" default:"1" range:"1..10000" doc:"Shards of a new stream."`
	Mode      string       `yaml:"mode" default:"provisioned" enum:"provisioned|on-demand" doc:"Capacity mode of a new stream."`
	Retention Retention    `yaml:"retention" doc:"How long records are kept."`
	Limits    *ShardLimits `yaml:"limits" doc:"Limits of each shard: aws, those of the Kinesis service in writing and reading; off, none; or limits of writing alone. Default: off for a new stream, else as it is."`
}

func (Stream) shorthand() string { return "name" }

// Retention says how long a stream keeps its records: a fixed age as in Kinesis, or until every consumer has them.
type Retention struct {
	Node
	Age  Duration `yaml:"age" oneof:"retention?" range:"24h..365d" doc:"Keep records this long, delivered or not."`
	Hold Bytes    `yaml:"hold" oneof:"retention?" range:"1MiB.." doc:"Keep records until the slowest consumer has them; refuse writes beyond this size. Default 50GiB."`
}

// DefaultHold is the retention of a stream that a pipeline creates without saying otherwise.
const DefaultHold Bytes = 50 << 30

// ShardLimits are the write limits of one shard, a second; 0 is no limit. Written as text they are aws or off, and the
// numbers are what that means.
type ShardLimits struct {
	Node
	Kind             string `yaml:"kind" enum:"aws|off" doc:"aws for the limits of the Kinesis service, off for none."`
	BytesPerSecond   Bytes  `yaml:"bytes_per_second" default:"1MiB" range:"0B.." doc:"Bytes a shard takes a second; 0B for no limit."`
	RecordsPerSecond int    `yaml:"records_per_second" default:"1000" range:"0..10000000" doc:"Records a shard takes a second; 0 for no limit."`
}

func (ShardLimits) shorthand() string { return "kind" }

// Kinds of [ShardLimits]: none, and those of the Kinesis service, which are the defaults of the numbers.
const (
	LimitsOff = "off"
	LimitsAWS = "aws"
)

// Kinds of [From].
const (
	FromTrimHorizon = "trim_horizon"
	FromLatest      = "latest"
	FromTime        = "at"
)

// From is where a pipeline without a checkpoint starts to read. Written as text it is trim_horizon or latest.
type From struct {
	Node
	Kind string    `yaml:"position" oneof:"from" enum:"trim_horizon|latest" doc:"The oldest record, or the first that comes after the start."`
	At   time.Time `yaml:"at" oneof:"from" doc:"The first record that arrived at or after this time."`
}

func (From) shorthand() string { return "position" }

// FileSource feeds the lines of files into the stream and goes on when they grow.
type FileSource struct {
	Node
	Path      string  `yaml:"path,required" path:"glob" doc:"A file, or a pattern with * ? [ ]."`
	SkipLines int     `yaml:"skip_lines" default:"0" range:"0..1000000" doc:"Lines at the start of each file that are not records (a CSV header)."`
	Key       LineKey `yaml:"key" default:"random" doc:"Where a line's partition key comes from."`
	MaxLine   Bytes   `yaml:"max_line" default:"1MiB" range:"1KiB..10MiB" doc:"The longest line that becomes one record."`
}

// LineKey says where the partition key of a line comes from. Written as text it is random: spread over all shards.
type LineKey struct {
	Node
	Random    string `yaml:"kind" oneof:"key" enum:"random" doc:"Spread lines over all shards."`
	CSVColumn int    `yaml:"csv_column" oneof:"key" range:"1..10000" doc:"A column of a CSV line; the first is 1."`
	JSON      string `yaml:"json" oneof:"key" doc:"A path into a JSON line, such as .user.id."`
	Constant  string `yaml:"constant" oneof:"key" match:"key" doc:"The same key for every line."`
}

func (LineKey) shorthand() string { return "kind" }

// Transform is one stage.
type Transform struct {
	Node
	Name   string `yaml:"name,required" match:"name" doc:"Name of the stage, unique within the pipeline."`
	Wasm   *Wasm  `yaml:"wasm" oneof:"transform" doc:"A WebAssembly module."`
	Config Value  `yaml:"config" doc:"Handed to a WebAssembly module as JSON."`
	// Lambda asks a handler that is written for Firehose.
	Lambda  *lambda.Config `yaml:"lambda" oneof:"transform" doc:"A handler that is written for Amazon Data Firehose's data transformation: a program or an endpoint."`
	OnError string         `yaml:"on_error" default:"dead_letter" enum:"dead_letter|drop|stop" doc:"What happens to a record that the stage fails."`
	// Failures says when there are too many of them.
	Failures Failures `yaml:"failures" doc:"When the stage fails too many records, and what happens then besides."`
	Shadow   *Shadow  `yaml:"shadow" doc:"A second transform on a sample of the same records, of which nothing is delivered: differences are counted, and leat tap shows them. A path is a module in place of the stage's own, for 10% of the records."`

	// Built-in transforms: each is a builtin.Config.
	AppendDelimiter *builtin.AppendDelimiter `yaml:"append_delimiter" oneof:"transform" doc:"Ends records with a delimiter."`
	CSVToJSON       *builtin.CSVToJSON       `yaml:"csv_to_json" oneof:"transform" doc:"Makes JSON objects of rows of CSV."`
	JSONToCSV       *builtin.JSONToCSV       `yaml:"json_to_csv" oneof:"transform" doc:"Makes rows of CSV of JSON records."`
	Parse           *builtin.Parse           `yaml:"parse" oneof:"transform" doc:"Makes JSON objects of log lines: regular expressions, Apache, nginx, syslog, key=value."`
	AddFields       *builtin.AddFields       `yaml:"add_fields" oneof:"transform" doc:"Adds fields to JSON records: constants, and what is known about the record."`
	RemoveFields    *builtin.RemoveFields    `yaml:"remove_fields" oneof:"transform" doc:"Removes fields of JSON records, or all but some."`
	RenameFields    *builtin.RenameFields    `yaml:"rename_fields" oneof:"transform" doc:"Renames fields of JSON records, or moves them into and out of objects."`
	HashFields      *builtin.HashFields      `yaml:"hash_fields" oneof:"transform" doc:"Replaces values of JSON fields by hashes."`
	Timestamps      *builtin.Timestamps      `yaml:"timestamps" oneof:"transform" doc:"Reads times in JSON fields, in any of several forms, and writes them in one."`
	Redact          *builtin.Redact          `yaml:"redact" oneof:"transform" doc:"Takes out what nobody should see: fields, and e-mail addresses, card numbers and the like in any text."`
	Split           *builtin.Split           `yaml:"split" oneof:"transform" doc:"Makes several records of one: its lines, other parts of its text, or the elements of an array."`
	Join            *builtin.Join            `yaml:"join" oneof:"transform" doc:"Joins texts within a record: elements of an array, several fields, or lines."`

	Filter      *builtin.Filter      `yaml:"filter" oneof:"transform" doc:"Keeps the records that meet a condition."`
	JQ          *builtin.JQ          `yaml:"jq" oneof:"transform" doc:"Runs a jq query over records."`
	Decompress  *builtin.Decompress  `yaml:"decompress" oneof:"transform" doc:"Unpacks records that are compressed, and the envelopes of CloudWatch Logs."`
	Deaggregate *builtin.Deaggregate `yaml:"deaggregate" oneof:"transform" doc:"Takes records apart that a producer has put together into one."`
	Route       *builtin.Route       `yaml:"route" oneof:"transform" doc:"Names the route that each record takes, so that sinks can take some routes only."`
	Dedupe      *builtin.Dedupe      `yaml:"dedupe" oneof:"transform" doc:"Drops records whose key another record has had before, within a window of time."`
	Sample      *builtin.Sample      `yaml:"sample" oneof:"transform" doc:"Keeps a part of the records, the same ones every time."`
	RateLimit   *builtin.RateLimit   `yaml:"rate_limit" oneof:"transform" doc:"Lets so many records or bytes through a second."`
	Enrich      *builtin.Enrich      `yaml:"enrich" oneof:"transform" doc:"Gives records fields of a reference file that it looks them up in."`
}

// Failures says when a stage fails too many records. It is said in the log, in /healthz and by the metric leat_transform_degraded,
// whatever happens then.
type Failures struct {
	Node
	Over Share  `yaml:"over" default:"50%" doc:"Too many is more than this share, such as 20%."`
	Of   int    `yaml:"of" default:"1000" range:"1..1000000" doc:"Of so many records, the last ones."`
	Then string `yaml:"then" default:"continue" enum:"continue|pause|stop" doc:"continue: go on as on_error says. pause: leave the records in the stream, and try a few of them after 1 s, 2 s and so on up to 1 min. stop: end the pipeline."`
}

// Wasm runs a WebAssembly module.
type Wasm struct {
	Node
	Module  string   `yaml:"module,required" path:"file" doc:"A .wasm file, or a folder of source in Go, Rust, C or AssemblyScript that is built and cached."`
	Memory  Bytes    `yaml:"memory" default:"64MiB" range:"1MiB..4GiB" doc:"Most memory of one instance."`
	Guard   string   `yaml:"guard" default:"metered" enum:"metered|interrupt|none" doc:"How a call is kept from running for ever. metered: the module counts its work, and fuel bounds it. interrupt: the clock alone, which makes modules several times slower and is looked at in loops, not in functions that call themselves without end. none trusts the module. A module with what metering does not know, such as threads, is refused under it."`
	Fuel    Fuel     `yaml:"fuel" doc:"Most work of one call under the guard metered, in units of about one instruction: the same on every machine."`
	Timeout Duration `yaml:"timeout" default:"10s" range:"1ms..15m" doc:"Longest time of one call, sleeping included; not with the guard none."`
	Pool    int      `yaml:"instances" default:"0" range:"0..1024" doc:"Instances kept ready; 0 for one a core. Two more are made while calls fail."`
	// Recycle and MaxCalls say when an instance is replaced by a new one.
	Recycle  string `yaml:"recycle" default:"auto" enum:"auto|off" doc:"auto: an instance whose memory has grown to near the limit is replaced by a new one before a call fails; what the module kept in it is lost. off: it is used until a call fails."`
	MaxCalls int    `yaml:"max_calls" default:"0" range:"0..1000000000" doc:"Replace an instance after so many calls, of up to 500 records each; 0 for never."`
}

// Fuel bounds the work of one call of a module.
type Fuel struct {
	Node
	Base    int `yaml:"base" default:"1000000000" range:"1000000..1000000000000000" doc:"Whatever the call gets. A thousand million take about 0.2 s."`
	PerByte int `yaml:"per_byte" default:"50000" range:"1..100000000000" doc:"And for each byte of records. Go's encoding/json takes about 2000."`
}

// Sink is one destination with its own reader, buffers and checkpoint.
type Sink struct {
	Node
	Name             string    `yaml:"name,required" match:"name" doc:"Name of the sink, unique within the pipeline."`
	File             *File     `yaml:"file" oneof:"destination" doc:"Objects as files below a folder."`
	S3               *S3       `yaml:"s3" oneof:"destination" doc:"Objects in a bucket of an S3-compatible store."`
	Stdout           *Stdout   `yaml:"stdout" oneof:"destination" doc:"Objects' contents to standard output."`
	Routes           []string  `yaml:"routes" items:"1..100" doc:"Takes only records on these routes, which a route stage has named. Default: all records."`
	Partition        Partition `yaml:"partition" items:"0..50" doc:"Partition keys: name and jq query."`
	Prefix           string    `yaml:"prefix" doc:"What object keys start with; may hold !{…} expressions."`
	Buffer           Buffer    `yaml:"buffer" doc:"When an object is complete."`
	Format           string    `yaml:"format" default:"json_lines" enum:"json_lines|lines|raw" doc:"How records become an object's content."`
	Compression      string    `yaml:"compression" default:"none" enum:"none|gzip|zip|snappy" doc:"How objects are compressed."`
	CompressionLevel int       `yaml:"compression_level" default:"0" range:"0..9" doc:"1 is fastest, 9 is smallest, 0 is the codec's default."`
	FileExtension    string    `yaml:"file_extension" match:"extension" doc:"Replaces the extension that the compression gives."`
	TimeZone         string    `yaml:"time_zone" default:"UTC" doc:"Time zone of timestamps in keys, such as Europe/Vienna."`
	Retry            Retry     `yaml:"retry" doc:"How long and how often a put is tried."`
	Memory           Bytes     `yaml:"memory" default:"64MiB" range:"1MiB..64GiB" doc:"Open buffers beyond this go to disk."`
	Uploads          int       `yaml:"uploads" default:"4" range:"1..64" doc:"Objects that are put at the same time."`
	Isolation        string    `yaml:"isolation" default:"in_process" enum:"in_process|process" doc:"Where the sink runs."`
}

// Partition are a sink's partition keys, in the order of the file. In the file it is a mapping of names to jq queries.
type Partition []PartitionKey

// PartitionKey is one name that a prefix may use, and the jq query that gives its value.
type PartitionKey struct {
	Node
	Name, Query string
}

// Buffer says when an object is complete: at a size before compression, or at an age of its first record.
type Buffer struct {
	Node
	Size     Bytes    `yaml:"size" default:"5MiB" range:"1MiB..128MiB" doc:"Bytes before compression."`
	Interval Duration `yaml:"interval" default:"300s" range:"0s..900s" doc:"Age of the first record; 0s delivers at once."`
}

// Retry says how long a put is tried and how the pauses between tries grow.
type Retry struct {
	Node
	For     Duration `yaml:"for" default:"24h" range:"0s..365d" doc:"Give up after this long; 0s after the first try."`
	Initial Duration `yaml:"initial" default:"500ms" range:"1ms..1h" doc:"Longest first pause."`
	Max     Duration `yaml:"max" default:"60s" range:"1ms..24h" doc:"Longest pause."`
}

// File writes objects below a folder.
type File struct {
	Node
	Dir string `yaml:"dir,required" path:"file" doc:"The folder; created if it is missing."`
}

// Stdout writes the contents of objects to standard output.
type Stdout struct{ Node }

// S3 writes objects to a bucket.
type S3 struct {
	Node
	Endpoint    string       `yaml:"endpoint" match:"url" doc:"URL of the store; AWS in the region if absent."`
	Bucket      string       `yaml:"bucket,required" match:"bucket" doc:"The bucket; it must exist."`
	Region      string       `yaml:"region" default:"us-east-1" match:"region" doc:"Region of the bucket."`
	PathStyle   *bool        `yaml:"path_style" doc:"Bucket in the path rather than in the host name. Default: true with an endpoint."`
	CAFile      string       `yaml:"ca_file" path:"file" doc:"PEM file of certificate authorities to trust in addition to the system's."`
	Credentials *Credentials `yaml:"credentials" doc:"Default: the environment (AWS_ACCESS_KEY_ID, …), then the shared credentials file."`
	// MultipartThreshold is the size from which objects are sent in parts.
	MultipartThreshold Bytes  `yaml:"multipart_threshold" default:"64MiB" range:"5MiB..5GiB" doc:"Objects from this size on are sent in parts."`
	PartSize           Bytes  `yaml:"part_size" default:"16MiB" range:"5MiB..5GiB" doc:"Size of a part."`
	StorageClass       string `yaml:"storage_class" match:"storage_class" doc:"Storage class, such as STANDARD_IA."`
}

// DeadLetters is where records go that no sink can take. Their objects are complete when the sink's buffer settings say so. A pipeline without it leaves the place to whoever runs it.
type DeadLetters struct {
	Node
	File             *File  `yaml:"file" oneof:"destination" doc:"Objects as files below a folder."`
	S3               *S3    `yaml:"s3" oneof:"destination" doc:"Objects in a bucket of an S3-compatible store."`
	Prefix           string `yaml:"prefix" default:"!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/" doc:"What object keys start with; may hold !{…} expressions."`
	Compression      string `yaml:"compression" default:"none" enum:"none|gzip|zip|snappy" doc:"How objects are compressed."`
	CompressionLevel int    `yaml:"compression_level" default:"0" range:"0..9" doc:"1 is fastest, 9 is smallest, 0 is the codec's default."`
	TimeZone         string `yaml:"time_zone" default:"UTC" doc:"Time zone of timestamps in keys."`
}

// Test is one test inside a pipeline file.
type Test struct {
	Node
	Name    string       `yaml:"name,required" doc:"What should happen, in words."`
	Clock   time.Time    `yaml:"clock" default:"2000-01-01T00:00:00Z" doc:"When the input arrives."`
	Input   []TestRecord `yaml:"input,required" items:"1..10000" doc:"Records as they are in the stream."`
	Output  TestOutputs  `yaml:"output" items:"0..64" doc:"Sink name: the records it should get, in order. A sink that is not named is not checked."`
	Dropped *int         `yaml:"dropped" range:"0..10000" doc:"How many input records a stage drops. Default: not checked."`
	// Unchanged counts those whose only output is their data and key.
	Unchanged *int       `yaml:"unchanged" range:"0..10000" doc:"How many input records reach the sinks as they came. Default: not checked."`
	Dead      []TestDead `yaml:"dead" items:"0..10000" doc:"The records that should go to the dead letters, in order. Default: none."`
	MaxFuel   []TestFuel `yaml:"max_fuel" items:"0..64" doc:"The most work that stages may do. Default: not checked."`
}

// TestFuel bounds the work of one stage that runs a module.
type TestFuel struct {
	Node
	Stage   string `yaml:"stage,required" doc:"Name of the stage."`
	PerByte int    `yaml:"per_byte,required" range:"1..100000000000" doc:"Fuel for each byte of the frames that the module gets: the record, its key and 48 bytes more. It is the same on every machine, but for a tenth or so where a module has random seeds and a garbage collector."`
}

// TestRecord is an input, or a record that a sink should get. Written as text it is the data.
type TestRecord struct {
	Node
	Data   *string `yaml:"data" oneof:"data" doc:"The data as text."`
	JSON   Value   `yaml:"json" oneof:"data" doc:"The data as JSON."`
	Base64 *Base64 `yaml:"base64" oneof:"data" doc:"The data in base64."`
	Key    *string `yaml:"key" doc:"Partition key of the record."`
	Attrs  Pairs   `yaml:"attrs" items:"0..64" doc:"Attributes of the record. In an output: those it should have, and no others."`
	Prefix *string `yaml:"prefix" doc:"In an output: the evaluated prefix."`
}

func (TestRecord) shorthand() string { return "data" }

// maxTestRecords bounds the records of a test, as an items tag.
const maxTestRecords = "0..10000"

// TestOutputs are what sinks should get. In the file it is a mapping of sink names to lists of records.
type TestOutputs []TestOutput

// TestOutput is what one sink should get.
type TestOutput struct {
	Node
	Sink    string
	Records []TestRecord
}

// TestDead is one record that should go to the dead letters.
type TestDead struct {
	Node
	Code   string `yaml:"code" doc:"The error code."`
	Reason string `yaml:"reason" doc:"Text that the reason contains."`
	Input  *int   `yaml:"input" range:"0..9999" doc:"Which input it is; the first is 0."`
}
