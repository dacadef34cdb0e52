// The SDK for transforms of leat in AssemblyScript. A transform is a function from a record to a result:
//
//     import { each, Record, Result } from "@leatstream/transform";
//
//     each((r: Record): Result => Result.text(r.text.toUpperCase()));
//
// leat builds a folder with such an index.ts, or assembly/index.ts, by itself. By hand:
//
//     asc index.ts node_modules/@leatstream/transform/exports.ts --config node_modules/@leatstream/transform/asconfig.json -o shout.wasm
//
// What a transform keeps in variables of the module stays between calls, but leat runs several instances, each with its own. An
// error that is thrown, a failed assertion for one, fails the record in work and no other: leat goes on with a new instance.

import { fail } from "./host";
import { Json } from "./json";
import { Record } from "./record";
import { Result } from "./result";

export { count, Level, log } from "./host";
export { Json } from "./json";
export { Attr, Record } from "./record";
export { Out, Result, reserve } from "./result";

export let eachFunction: ((r: Record) => Result) | null = null;
export let batchFunction: ((records: Record[]) => Result[]) | null = null;
export let configFunction: ((config: Json) => string | null) | null = null;

/** Registers the transform, record by record. Call it once, outside of functions. The record is used again for the next one. */
export function each(fn: (r: Record) => Result): void {
  register();
  eachFunction = fn;
}

/**
 * Registers the transform, batch by batch: up to 500 records and 512 KiB, or one larger record. fn returns one result for each record, in
 * order. If it throws, leat finds the guilty record by calling it with fewer. Call it once, outside of functions.
 */
export function batch(fn: (records: Record[]) => Result[]): void {
  register();
  batchFunction = fn;
}

function register(): void {
  if (eachFunction || batchFunction) throw new Error("each or batch was called twice: a module is one transform");
}

/**
 * Registers a function that gets what the pipeline file says under config, null if nothing, before the first record. It returns null, or why
 * the configuration is refused, which keeps the pipeline from starting and is shown to the user. Call it once, outside of functions.
 */
export function configure(fn: (config: Json) => string | null): void {
  if (configFunction) throw new Error("configure was called twice");
  configFunction = fn;
}

/** What a module returns from a function leat_describe that it exports: a manifest in JSON. */
export function manifest(json: string): u64 {
  described = String.UTF8.encode(json);
  return ((<u64>changetype<usize>(described)) << 32) | described.byteLength;
}

let described: ArrayBuffer = new ArrayBuffer(0);

/** Takes the place of AssemblyScript's abort, which would be an import that leat does not offer. */
export function leat_abort(message: string | null, file: string | null, line: u32, column: u32): void {
  let text = message != null ? message : "abort";
  if (file != null) text += " (in " + file + ":" + line.toString() + ")";
  fail(text);
  unreachable();
}
