// The module's side of leat_tx_1.

import { begin, finish, put, read } from "./frame";
import { fail } from "./host";
import { batchFunction, configFunction, eachFunction } from "./index";
import { Json } from "./json";
import { input } from "./memory";
import { Record } from "./record";

/** The index of the record in work. */
export let leat_cursor: i32 = 0;

export function leat_tx_1(): void {}

export function leat_alloc(size: u32): usize {
  return input.grow(max(size, 640 << 10)) || input.grow(size) ? input.at : 0;
}

export function leat_configure(at: usize, size: u32): i32 {
  const config = Json.at(at, size).get("config");
  let why: string | null = null;
  if (!config) why = "leat's configuration is not as leat_tx_1 says";
  else if (!eachFunction && !batchFunction) why = "the module registers no transform: call each or batch";
  else if (configFunction) why = configFunction!(config.copy());
  else if (config.rawText() != "null") why = "this transform takes no config";
  if (why == null) return 0;
  fail(why);
  return 1;
}

const record = new Record();
/** Pages of memory after the last collection. */
let pages: i32 = 0;

export function leat_transform(at: usize, size: u32): u64 {
  leat_cursor = -1;
  const count = begin(at, size);
  if (count < 0) return badFrame();
  if (eachFunction) {
    for (let i = 0; i < count; i++) {
      leat_cursor = i;
      if (!read(at, size, i, record)) return badFrame();
      put(record, eachFunction!(record));
      collect(i + 1 == count || (i & 63) == 63);
    }
  } else if (!batched(at, size, count)) {
    return badFrame();
  }
  collect(!eachFunction);
  return finish(count);
}

function batched(at: usize, size: u32, count: i32): bool {
  const records = new Array<Record>(count);
  for (let i = 0; i < count; i++) {
    const r = new Record();
    if (!read(at, size, i, r)) return false;
    records[i] = r;
  }
  const results = batchFunction!(records);
  if (results.length != count) {
    fail("the function of batch returned " + results.length.toString() + " results for " + count.toString() + " records");
    unreachable();
  }
  for (let i = 0; i < count; i++) put(records[i], results[i]);
  return true;
}

/**
 * Frees what nobody refers to any more, if it is time or the memory has grown. Nothing but variables of modules refers to objects here, so the
 * runtime minimal, which knows no others, frees none that is in use.
 */
function collect(now: bool): void {
  if (now || memory.size() > pages) {
    __collect();
    pages = memory.size();
  }
}

function badFrame(): u64 {
  fail("the frame does not keep the rules of leat_tx_1");
  return 0;
}
