package reference

import "github.com/leatstream/leat/transforms/builtin"

// indexText stands above the list of transforms.
const indexText = `# Transforms

A pipeline file's ` + "`transforms`" + ` are stages that every record passes, in order. A stage makes of each record one record, several or none, or it fails it;
its ` + "`on_error`" + ` says what happens then. Records keep their order and their partition keys. A record counts as one from the stream to the sink, also where a
stage makes several of it: if a later stage fails one of these, none of them is delivered, and the dead letter is the record as it came from the stream.
With ` + "`on_error: drop`" + ` at that stage the others are delivered.

` + "```yaml" + `
transforms:
  - name: rows          # of your choice; metrics and dead letters show it
    csv_to_json:        # which transform it is
      columns: [ { name: airport }, { name: speed, type: integer } ]
    on_error: dead_letter
` + "```" + `

Fields of JSON records are named by paths as jq writes them: ` + "`.user.id`, `.[\"odd key\"]`" + `. A change leaves the other bytes of a record as they are.
This text is also in the program: ` + "`leat transform help NAME`" + `.

`

// stageCodes are the codes of failures that any stage may give a record, whatever the transform.
var stageCodes = []builtin.Code{
	{Name: "stage.output_too_large", Meaning: "What the stage makes of the record takes more than 72 MiB."},
	{Name: "stage.failed", Meaning: "The transform failed the record without a code of its own."},
	{Name: "stage.bad_output", Meaning: "The transform's answer does not fit the records that it was given: the transform is wrong."},
	{Name: "stage.panic", Meaning: "A built-in transform panicked: leat is wrong, and the record shows where."},
}

// stageText stands below the keys of every stage.
const stageText = `
## A second version beside the first

` + "```yaml" + `
  - name: rows
    wasm: { module: ./rows }
    shadow: { module: ./rows-v2, sample: 50% }
` + "```" + `

The shadow gets half of the records here, as the stage gets them; ` + "`shadow: ./rows-v2`" + ` is short for a tenth of them. Any transform can be one, with settings of its own:
` + "`shadow: { jq: { query: .rows }, sample: 100% }`" + `. How often it makes something else of a record is counted (metric ` + "`leat_shadow_differences_total`" + `), and
` + "`leat tap PIPELINE/rows --side shadow`" + ` shows where. To promote it, write it where the stage's own transform stands and take the line out.

## Working on stages

| command | what it does |
|---|---|
| ` + "`leat test FILE`" + ` | runs the tests of a pipeline file, such as those of the examples here |
| ` + "`leat dry-run FILE`" + ` | shows what becomes of real records, and delivers nothing |
| ` + "`leat run --watch FILE`" + ` | runs it, and takes each change that builds and passes its tests |
| ` + "`leat tap PIPELINE/STAGE`" + ` | shows the records that pass a stage of a running pipeline |
| ` + "`leat transform new NAME`" + ` | makes a folder for a WebAssembly module of your own |
`

// hosted are the texts of the stages that run code of the user's.
var hosted = map[string]builtin.Doc{
	"lambda": lambdaDoc,
	"wasm": {
		Summary: "Runs a WebAssembly module, in any language that compiles to one.",
		Text: "The module is sandboxed: it has no files, no network, no environment and no clock but the system's time. It gets up to 500 records or 512 KiB a call, by the ABI " +
			"`leat_tx_1` (transforms/wasm/abi/ABI.md), for which there are SDKs for Go, Rust, C and AssemblyScript in transforms/sdk.\n\n" +
			"Where `module` is a folder of source in Go, Rust, C or AssemblyScript it is built when it is first used and whenever it has changed. The stage's `config` is handed to the module as JSON.\n\n" +
			"A record that makes the module trap, spend its fuel, time or memory, or answer with something that is no answer is found and fails alone; " +
			"all others go on, in order. The module names the codes of the records that it fails itself; the SDK for Go catches panics, whose records fail with `transform.panic`.\n\n" +
			"```yaml\ntransforms:\n  - name: csv-to-json\n    wasm: { module: ./csv2json }\n    config: { columns: [ { name: airport, type: string } ] }\n```",
		Codes: []builtin.Code{
			{Name: "wasm.trap", Meaning: "The call trapped: the module did what no module may, such as reading beyond its memory."},
			{Name: "wasm.exit", Meaning: "The module ended itself, as a program in Go does by os.Exit or a panic outside of the record function."},
			{Name: "wasm.fuel_spent", Meaning: "The call did more work than its `fuel` allows."},
			{Name: "wasm.too_deep", Meaning: "The module's functions call each other without end."},
			{Name: "wasm.timeout", Meaning: "The call took longer than `timeout`."},
			{Name: "wasm.memory_limit", Meaning: "The module ran out of memory."},
			{Name: "wasm.bad_frame", Meaning: "The module's answer breaks the rules of the ABI."},
			{Name: "wasm.output_too_large", Meaning: "The module's answer is larger than 6 MiB and than twice its input."},
			{Name: "wasm.batch_failed", Meaning: "The module failed the call as a whole."},
			{Name: "wasm.alloc_refused", Meaning: "The module has no room for a lone record."},
			{Name: "wasm.record_too_large", Meaning: "The record is larger than what a module can be handed."},
			{Name: "wasm.bad_attributes", Meaning: "The record's attributes cannot be handed to a module."},
			{Name: "wasm.transform_failed", Meaning: "The module failed the record without a code of its own."},
		},
	},
}
