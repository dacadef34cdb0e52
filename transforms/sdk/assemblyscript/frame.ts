// The frames of leat_tx_1, as transforms/wasm/abi/ABI.md specifies them.

import { input, output, table } from "./memory";
import { Attr, Record } from "./record";
import { Kind, Out, Result } from "./result";

const HEADER: usize = 32;
const RECORD: usize = 48;
const RESULT: usize = 24;
const OUT: usize = 48;

const INPUT_MAGIC: u32 = 0x3158544c; // LTX1
const OUTPUT_MAGIC: u32 = 0x3152544c; // LTR1

/** Checks the header of the frame and begins the answer. Returns the number of records, or -1. */
export function begin(at: usize, size: usize): i32 {
  if (at != input.at || size < HEADER || size > input.size || load<u32>(at) != INPUT_MAGIC || load<u16>(at, 4) != 1) return -1;
  const head = <u64>load<u16>(at, 6);
  const count = <u64>load<u32>(at, 8);
  if (<usize>load<u32>(at, 24) != size || head < HEADER || head % 8 || head + RECORD * count > size) return -1;
  output.length = 0;
  table.length = 0;
  output.room(HEADER + RESULT * <usize>count);
  output.length = HEADER + RESULT * <usize>count;
  return <i32>count;
}

/** Decodes record i; false if a field lies outside the frame. */
export function read(at: usize, size: usize, i: i32, r: Record): bool {
  const e = at + load<u16>(at, 6) + RECORD * <usize>i;
  const data = load<u32>(e, 16);
  const dataLength = load<u32>(e, 20);
  const key = load<u32>(e, 24);
  const keyLength = load<u32>(e, 28);
  const attrs = load<u32>(e, 32);
  const attrsLength = load<u32>(e, 36);
  if (<u64>data + dataLength > size || <u64>key + keyLength > size || <u64>attrs + attrsLength > size) return false;
  if (attrsLength && !checkAttrs(at + attrs, attrsLength)) return false;
  r.at = at + data;
  r.byteLength = dataLength;
  r.keyAt = at + key;
  r.keyLength = keyLength;
  r.attrsAt = at + attrs;
  r.attrsLength = attrsLength;
  r.seq = load<u64>(e);
  r.arrived = load<i64>(e, 8);
  r.shard = load<u32>(e, 40);
  r.sub = load<u32>(e, 44);
  r.entry = e;
  r.index = i;
  return true;
}

function checkAttrs(block: usize, size: u32): bool {
  if (size < 4) return false;
  const count = <u64>load<u16>(block);
  let end = 4 + 8 * count;
  if (!count || end > size) return false;
  for (let i: u64 = 0; i < count; i++) end += <u64>load<u16>(block + 4 + 8 * <usize>i) + load<u32>(block + 8 + 8 * <usize>i);
  return end == size;
}

/** Appends an attribute block and says in entry where it is; false if it cannot be encoded. */
function putAttrs(entry: usize, attrs: Attr[] | null): bool {
  let from: usize = 0;
  if (attrs && attrs.length) {
    const n = attrs.length;
    if (n > 0xffff) return false;
    from = output.length;
    const heads = <usize>4 + 8 * <usize>n;
    memory.fill(output.room(heads), 0, heads);
    output.length += heads;
    store<u16>(output.at + from, <u16>n);
    for (let i = 0; i < n; i++) {
      const name = output.length;
      output.putText(attrs[i].name);
      const value = output.length;
      output.putText(attrs[i].value);
      if (value - name > 0xffff) return false;
      const e = output.at + from + 4 + 8 * <usize>i;
      store<u16>(e, <u16>(value - name));
      store<u32>(e, <u32>(output.length - value), 4);
    }
  }
  store<u32>(table.at + entry, <u32>from);
  store<u32>(table.at + entry, <u32>(from ? output.length - from : 0), 4);
  return true;
}

/** Appends an output of the record; false if its attributes cannot be encoded. */
function putOut(r: Record, o: Out): bool {
  const at = table.length;
  const e = table.room(OUT);
  table.length += OUT;
  let flags: u32 = 0;
  const from = output.length;
  if (o.reserved >= 0) output.put(output.room(o.reserved), o.reserved);
  else if (o.bytes != null) output.put(o.bytes!.dataStart, o.bytes!.byteLength);
  else if (o.string != null) output.putText(o.string!);
  else flags |= 1;
  if (flags & 1) {
    store<u64>(e, load<u64>(r.entry, 16), 8);
    if (o.from >= 0) {
      if (o.to > r.byteLength) throw new RangeError("part: to is " + o.to.toString() + " of " + r.byteLength.toString() + " bytes");
      store<u32>(e, load<u32>(r.entry, 16) + o.from, 8);
      store<u32>(e, o.to - o.from, 12);
    }
  } else {
    store<u32>(e, <u32>from, 8);
    store<u32>(e, <u32>(output.length - from), 12);
  }
  if (o.partitionKey.length) {
    const key = output.length;
    output.putText(o.partitionKey);
    store<u32>(e, <u32>key, 16);
    store<u32>(e, <u32>(output.length - key), 20);
  } else {
    flags |= 2;
    store<u64>(e, load<u64>(r.entry, 24), 16);
  }
  if (o.attrs != null) {
    if (!putAttrs(at + 24, o.attrs)) return false;
  } else {
    flags |= 4;
    store<u64>(e, load<u64>(r.entry, 32), 24);
  }
  if (!putAttrs(at + 32, o.partition)) return false;
  store<u32>(e, flags);
  store<u32>(e, r.index, 4);
  store<u64>(e, 0, 40);
  return true;
}

/** Writes the result of the record. */
export function put(r: Record, res: Result): void {
  const first = table.length;
  let status: u64 = 0;
  let good = true;
  switch (res.kind) {
    case Kind.Keep:
      status = 1;
      break;
    case Kind.Drop:
      status = 2;
      break;
    case Kind.One:
      if (res.one!.isKeep) status = 1;
      else good = putOut(r, res.one!);
      break;
    case Kind.Emit: {
      const outs = res.outs!;
      for (let i = 0; i < outs.length && good; i++) good = putOut(r, outs[i]);
      break;
    }
    default:
      putFailure(r, first, res.code, res.reason);
      return;
  }
  if (!good) {
    putFailure(r, first, "transform.bad_result", "attributes or partition keys are too many, or a name is longer than 65,535 bytes");
    return;
  }
  const e = output.at + HEADER + RESULT * <usize>r.index;
  store<u64>(e, status | (<u64>(first / OUT) << 32));
  store<u64>(e, (table.length - first) / OUT, 8);
  store<u64>(e, 0, 16);
}

/** Writes that the record failed, for good. Outputs that it has made so far are taken back. */
function putFailure(r: Record, first: usize, code: string, reason: string): void {
  table.length = first;
  const codeAt = output.putText(code);
  const codeLength = min<usize>(output.length - codeAt, 0xffff);
  const reasonAt = output.putText(reason);
  const reasonLength = min<usize>(output.length - reasonAt, 0xffff);
  const e = output.at + HEADER + RESULT * <usize>r.index;
  store<u64>(e, 3 | (4 << 8) | (<u64>(first / OUT) << 32));
  store<u32>(e, 0, 8);
  store<u32>(e, <u32>codeAt, 12);
  store<u16>(e, <u16>codeLength, 16);
  store<u16>(e, <u16>reasonLength, 18);
  store<u32>(e, <u32>reasonAt, 20);
}

/** Completes the answer for count records. */
export function finish(count: i32): u64 {
  const pad = (<usize>0 - output.length) & 7;
  output.room(pad + table.length);
  output.length += pad;
  const outs = output.put(table.at, table.length);
  const h = output.at;
  store<u32>(h, OUTPUT_MAGIC);
  store<u32>(h, (<u32>HEADER << 16) | 1, 4);
  store<u32>(h, count, 8);
  store<u32>(h, <u32>(table.length / OUT), 12);
  store<u32>(h, <u32>HEADER, 16);
  store<u32>(h, <u32>outs, 20);
  store<u64>(h, 0, 24);
  return (<u64>h << 32) | output.length;
}
