// Says of each record which one of how many it is, and keeps every third.

import { batch, manifest, Record, Result } from "@leatstream/transform";

batch((records: Record[]): Result[] => {
  const results: Result[] = [];
  for (let i = 0; i < records.length; i++) {
    const text = records[i].text;
    assert(text != "boom", "boom");
    results.push(i % 3 == 2 ? Result.keep() : Result.text(i.toString() + " of " + records.length.toString() + ": " + text));
  }
  return results;
});

export function leat_describe(): u64 {
  return manifest('{"name":"batch"}');
}
