// Keeps records or, with a config, makes their letters large: what a crossing costs, and a loop over the bytes.

import { configure, each, Json, Record, reserve, Result } from "@leatstream/transform";

let upper = false;

configure((config: Json): string | null => {
  const u = config.get("upper");
  upper = u != null && u.isTrue;
  return null;
});

each((r: Record): Result => {
  if (!upper) return Result.keep();
  const to = reserve(r.byteLength);
  for (let i: usize = 0; i < <usize>r.byteLength; i++) {
    const c = load<u8>(r.at + i);
    store<u8>(to + i, c >= 0x61 && c <= 0x7a ? c - 0x20 : c);
  }
  return Result.reserved(r.byteLength);
});
