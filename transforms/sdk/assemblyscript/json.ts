import { Record } from "./record";

/**
 * The JSON text of a value. It finds and changes single values without building a tree. It is no validator: of what it skips it looks at
 * quotes and brackets alone.
 *
 * A path names keys, and numbers of array elements, between dots: user.tags.0; the empty path is the whole text. A key that holds a dot
 * cannot be named. Of several equal keys the last counts.
 */
export class Json {
  private constructor(
    private from: usize,
    private end: usize,
    /** Keeps the memory of the text, if it is the runtime's. */
    private owner: ArrayBuffer | null,
  ) {}

  /** The data of a record, during the call. */
  static of(r: Record): Json {
    return new Json(r.at, r.at + r.byteLength, null);
  }

  /** A text. */
  static parse(text: string): Json {
    return Json.own(String.UTF8.encode(text));
  }

  /** Memory that is not the runtime's. */
  static at(at: usize, size: usize): Json {
    return new Json(at, at + size, null);
  }

  private static own(bytes: ArrayBuffer): Json {
    const at = changetype<usize>(bytes);
    return new Json(at, at + bytes.byteLength, bytes);
  }

  /** The same text in memory of its own, to keep. */
  copy(): Json {
    const bytes = new ArrayBuffer(<i32>(this.end - this.from));
    memory.copy(changetype<usize>(bytes), this.from, this.end - this.from);
    return Json.own(bytes);
  }

  /** Returns the value at a path, or null. */
  get(path: string): Json | null {
    let from = skipBlank(this.from, this.end);
    let end = this.end;
    if (!path.length) {
      end = skipValue(from, end);
      return end ? new Json(from, end, this.owner) : null;
    }
    const steps = path.split(".");
    for (let i = 0; i < steps.length; i++) {
      from = member(from, end, steps[i]);
      if (!from) return null;
      end = skipValue(from, end);
    }
    return new Json(from, end, this.owner);
  }

  /**
   * Returns a text with value, which is JSON text, at a path: in place of the one there is, else as the last member of its object; null if
   * there is no such object, or no such element.
   */
  set(path: string, value: string): Json | null {
    const there = this.get(path);
    let from: usize, to: usize;
    let text = value;
    if (there) {
      from = there.from;
      to = there.end;
    } else {
      const dot = path.lastIndexOf(".");
      const parent = this.get(path.substring(0, max(dot, 0)));
      if (!path.length || !parent || load<u8>(parent.from) != 0x7b) return null;
      from = parent.end - 1;
      while (isBlank(load<u8>(from - 1))) from--;
      to = from;
      text = (load<u8>(from - 1) == 0x7b ? "" : ",") + Json.quote(path.substring(dot + 1)) + ":" + value;
    }
    const size = String.UTF8.byteLength(text);
    const bytes = new ArrayBuffer(<i32>(from - this.from) + size + <i32>(this.end - to));
    const at = changetype<usize>(bytes);
    memory.copy(at, this.from, from - this.from);
    String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, at + (from - this.from));
    memory.copy(at + (from - this.from) + size, to, this.end - to);
    return Json.own(bytes);
  }

  /** The text itself, as bytes. */
  raw(): Uint8Array {
    const copy = new Uint8Array(<i32>(this.end - this.from));
    memory.copy(copy.dataStart, this.from, this.end - this.from);
    return copy;
  }

  /** The text itself. */
  rawText(): string {
    return String.UTF8.decodeUnsafe(this.from, this.end - this.from);
  }

  /** What a string says; null if it is none. Half a surrogate pair is U+FFFD. */
  string(): string | null {
    if (this.from == this.end || load<u8>(this.from) != 0x22 || skipString(this.from, this.end) != this.end) return null;
    return unescape(this.from + 1, this.end - 1);
  }

  /** Whether it is an integer that 64 bits hold. */
  get isI64(): bool {
    const text = this.rawText();
    const negative = text.startsWith("-");
    const digits = negative ? text.substring(1) : text;
    if (!digits.length || digits.length > 19 || (digits.length > 1 && digits.charCodeAt(0) == 0x30)) return false;
    for (let i = 0; i < digits.length; i++) {
      const c = digits.charCodeAt(i);
      if (c < 0x30 || c > 0x39) return false;
    }
    return U64.parseInt(digits) <= <u64>i64.MAX_VALUE + (negative ? 1 : 0);
  }

  /** The integer; 0 if isI64 is false. */
  i64(): i64 {
    return this.isI64 ? I64.parseInt(this.rawText()) : 0;
  }

  /** The number; NaN if it is none, or too large. */
  f64(): f64 {
    const c = this.from < this.end ? load<u8>(this.from) : 0;
    const n = c == 0x2d || (c >= 0x30 && c <= 0x39) ? F64.parseFloat(this.rawText()) : NaN;
    return isFinite(n) ? n : NaN;
  }

  /** Whether it is true. */
  get isTrue(): bool {
    return this.rawText() == "true";
  }

  /** Whether it is false. */
  get isFalse(): bool {
    return this.rawText() == "false";
  }

  /** Whether it is null. */
  get isNull(): bool {
    return this.rawText() == "null";
  }

  /** Returns text as a JSON string, quotes included. */
  static quote(text: string): string {
    let out = '"';
    let plain = 0;
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (c >= 0x20 && c != 0x22 && c != 0x5c) continue;
      out += text.substring(plain, i);
      if (c == 0x22) out += '\\"';
      else if (c == 0x5c) out += "\\\\";
      else if (c == 0x0a) out += "\\n";
      else if (c == 0x0d) out += "\\r";
      else if (c == 0x09) out += "\\t";
      else out += "\\u00" + (c < 16 ? "0" : "1") + (c & 15).toString(16);
      plain = i + 1;
    }
    return out + text.substring(plain) + '"';
  }
}

function isBlank(c: u8): bool {
  return c == 0x20 || c == 0x0a || c == 0x09 || c == 0x0d;
}

function skipBlank(at: usize, end: usize): usize {
  while (at < end && isBlank(load<u8>(at))) at++;
  return at;
}

/** Returns the place after the string whose opening quote is at a place; 0 if it does not end. */
function skipString(at: usize, end: usize): usize {
  for (at++; at < end; at++) {
    const c = load<u8>(at);
    if (c == 0x22) return at + 1;
    if (c == 0x5c) at++;
  }
  return 0;
}

/** Returns the place after the value at a place; 0 if there is none. */
function skipValue(at: usize, end: usize): usize {
  let depth = 0;
  while (at < end) {
    const c = load<u8>(at);
    if (c == 0x22) {
      at = skipString(at, end);
      if (!at) return 0;
    } else if (c == 0x7b || c == 0x5b) {
      depth++;
      at++;
      continue;
    } else if (c == 0x7d || c == 0x5d) {
      if (!depth--) return 0;
      at++;
    } else if (c == 0x2c || c == 0x3a || isBlank(c)) {
      if (!depth) return 0;
      at++;
      continue;
    } else {
      while (at < end) {
        const d = load<u8>(at);
        if (d == 0x2c || d == 0x3a || d == 0x7d || d == 0x5d || d == 0x22 || isBlank(d)) break;
        at++;
      }
    }
    if (!depth) return at;
  }
  return 0;
}

/** Returns the value that a step of a path names in the object or array at a place; 0 if there is none. */
function member(at: usize, end: usize, step: string): usize {
  if (at >= end) return 0;
  const open = load<u8>(at);
  if (open != 0x7b && open != 0x5b) return 0;
  const close = open + 2;
  let found: usize = 0;
  at = skipBlank(at + 1, end);
  for (let index = 0; at < end && load<u8>(at) != close; index++) {
    let matches: bool;
    if (open == 0x7b) {
      if (load<u8>(at) != 0x22) return 0;
      const key = at + 1;
      at = skipString(at, end);
      if (!at) return 0;
      matches = unescape(key, at - 1) == step;
      at = skipBlank(at, end);
      if (at == end || load<u8>(at) != 0x3a) return 0;
      at = skipBlank(at + 1, end);
    } else {
      matches = index.toString() == step;
    }
    const value = at;
    at = skipValue(at, end);
    if (!at) return 0;
    if (matches) {
      found = value;
      if (open == 0x5b) return found;
    }
    at = skipBlank(at, end);
    if (at < end && load<u8>(at) == 0x2c) at = skipBlank(at + 1, end);
    else if (at == end || load<u8>(at) != close) return 0;
  }
  return at < end ? found : 0;
}

/** Returns what the text between the quotes of a string says; null if an escape is wrong. */
function unescape(at: usize, end: usize): string | null {
  let out = "";
  let plain = at;
  while (at < end) {
    if (load<u8>(at) != 0x5c) {
      at++;
      continue;
    }
    out += String.UTF8.decodeUnsafe(plain, at - plain);
    const c = load<u8>(at, 1);
    at += 2;
    if (c == 0x22 || c == 0x5c || c == 0x2f) out += String.fromCharCode(c);
    else if (c == 0x62) out += "\b";
    else if (c == 0x66) out += "\f";
    else if (c == 0x6e) out += "\n";
    else if (c == 0x72) out += "\r";
    else if (c == 0x74) out += "\t";
    else if (c == 0x75) {
      let unit = hex4(at, end);
      if (unit < 0) return null;
      at += 4;
      if (unit >= 0xd800 && unit < 0xe000) {
        const low = unit < 0xdc00 && at + 6 <= end && load<u16>(at) == 0x755c ? hex4(at + 2, end) : -1;
        if (low >= 0xdc00 && low < 0xe000) {
          out += String.fromCharCode(unit);
          unit = low;
          at += 6;
        } else {
          unit = 0xfffd;
        }
      }
      out += String.fromCharCode(unit);
    } else return null;
    plain = at;
  }
  return out + String.UTF8.decodeUnsafe(plain, end - plain);
}

function hex4(at: usize, end: usize): i32 {
  if (end - at < 4) return -1;
  let v = 0;
  for (let i: usize = 0; i < 4; i++) {
    const c = <i32>load<u8>(at + i);
    const lower = c | 0x20;
    const d = c >= 0x30 && c <= 0x39 ? c - 0x30 : lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
    if (d < 0) return -1;
    v = (v << 4) | d;
  }
  return v;
}
