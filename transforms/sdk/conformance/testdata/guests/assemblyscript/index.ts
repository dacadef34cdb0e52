// The guest that transforms/sdk/conformance specifies, in AssemblyScript.

import { Attr, configure, count, each, Json, Level, log, Out, Record, reserve, Result } from "@leatstream/transform";

let mode = "";
let calls = 0;
const hoard: Uint8Array[] = [];

configure((config: Json): string | null => {
  const m = config.get("mode");
  if (m && m.string() != null) mode = m.string()!;
  const refuse = config.get("refuse");
  return refuse && refuse.string() ? refuse.string() : null; // an empty string counts as none
});

each((r: Record): Result => {
  calls++;
  const space = r.indexOf(0x20);
  const end = space < 0 ? r.byteLength : space;
  const next = min(end + 1, r.byteLength);
  const word = r.textOf(0, end);
  if (word == "upper") {
    const to = reserve(r.byteLength);
    for (let i: usize = 0; i < <usize>r.byteLength; i++) {
      const c = load<u8>(r.at + i);
      store<u8>(to + i, c >= 0x61 && c <= 0x7a ? c - 0x20 : c);
    }
    return Result.reserved(r.byteLength);
  }
  if (word == "tail") return Result.part(next, r.byteLength);
  const rest = r.textOf(next, r.byteLength);
  if (word == "drop") return Result.drop();
  if (word == "fail") return Result.fail(before(rest, " "), after(rest, " "));
  if (word == "emit") return emit(<i32>I32.parseInt(rest));
  if (word == "key") return Result.out(Out.keep().key(rest));
  if (word == "attrs") {
    const out = Out.keep().noAttrs();
    const attrs = pairs(rest);
    for (let i = 0; i < attrs.length; i++) out.attr(attrs[i].name, attrs[i].value);
    return Result.out(out);
  }
  if (word == "partition") {
    const out = Out.keep();
    const attrs = pairs(rest);
    for (let i = 0; i < attrs.length; i++) out.partitionBy(attrs[i].name, attrs[i].value);
    return Result.out(out);
  }
  if (word == "count") count(before(rest, " "), I64.parseInt(after(rest, " ")));
  if (word == "log") log(Level.Warn, rest);
  if (word == "boom") throw new Error("boom");
  if (word == "whoami") return Result.text(whoami(r));
  if (word == "calls") return Result.text(calls.toString());
  if (word == "big") {
    const n = <i32>I32.parseInt(rest);
    return Result.data(new Uint8Array(n).fill(0x78));
  }
  if (word == "longname") return Result.emit([Out.text("fine"), Out.text("").partitionBy("n".repeat(1 << 16), "v")]);
  if (word == "spin") {
    for (;;) calls++;
  }
  if (word == "recurse") return Result.text(recurse(calls).toString());
  if (word == "hoard") {
    for (;;) hoard.push(new Uint8Array(1 << 20).fill(0x78));
  }
  if (word == "get" || word == "text" || word == "int" || word == "set") return readJSON(word, rest);
  return Result.keep();
});

function recurse(n: i32): i32 {
  return recurse(n + calls) + n;
}

function before(text: string, separator: string): string {
  const i = text.indexOf(separator);
  return i < 0 ? text : text.substring(0, i);
}

function after(text: string, separator: string): string {
  const i = text.indexOf(separator);
  return i < 0 ? "" : text.substring(i + 1);
}

function pairs(text: string): Attr[] {
  const words = text.split(" ");
  const attrs: Attr[] = [];
  for (let i = 0; i < words.length; i++) {
    if (words[i].length) attrs.push(new Attr(before(words[i], "="), after(words[i], "=")));
  }
  return attrs;
}

function emit(n: i32): Result {
  const outs: Out[] = [];
  for (let i = 0; i < n; i++) {
    const out = Out.text(i.toString());
    if (i % 2 == 1) out.key("key-" + i.toString());
    if (i % 3 == 2) out.attr("n", i.toString());
    if (i % 4 == 3) out.partitionBy("p", i.toString()).partitionBy("q", "");
    outs.push(out);
  }
  return Result.emit(outs);
}

function whoami(r: Record): string {
  let text = r.key + "|" + r.shard.toString() + "|" + r.seq.toString() + "|" + r.sub.toString() + "|" + r.arrived.toString() + "|";
  const attrs = r.attrs;
  for (let i = 0; i < attrs.length; i++) text += attrs[i].name + "=" + attrs[i].value + ";";
  return text + "|" + mode;
}

// readJSON does "get PATH JSON", "text PATH JSON", "int PATH JSON" and "set PATH VALUE JSON".
function readJSON(word: string, rest: string): Result {
  const path = before(rest, " ");
  rest = after(rest, " ");
  if (word == "set") {
    const changed = Json.parse(after(rest, " ")).set(path, before(rest, " "));
    return changed ? Result.data(changed.raw()) : Result.text("-");
  }
  const value = Json.parse(rest).get(path);
  if (value) {
    if (word == "get") return Result.data(value.raw());
    if (word == "int" && value.isI64) return Result.text(value.i64().toString());
    if (word == "text" && value.string() != null) return Result.text(value.string()!);
  }
  return Result.text("-");
}
