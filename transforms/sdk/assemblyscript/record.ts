/** A named value. The name has at most 65,535 bytes. */
export class Attr {
  constructor(
    public name: string,
    public value: string,
  ) {}
}

/**
 * One record of a stream, or an output of the stage before. Its getters make copies; for speed, at and byteLength are where the data is, for
 * load<u8>(r.at + i), during the call.
 */
export class Record {
  /** The address of the data. */
  at: usize = 0;
  /** The number of bytes of the data. */
  byteLength: i32 = 0;
  /** The shard; with seq and sub it identifies the record. */
  shard: u32 = 0;
  /** The record's position in the shard. */
  seq: u64 = 0;
  /** Which output of an earlier stage it is. */
  sub: u32 = 0;
  /** When the stream got the record, in nanoseconds since the Unix epoch. */
  arrived: i64 = 0;

  keyAt: usize = 0;
  keyLength: i32 = 0;
  attrsAt: usize = 0;
  attrsLength: i32 = 0;
  /** Where the record's entry is in leat's frame, and its number. */
  entry: usize = 0;
  index: i32 = 0;

  /** A copy of the data. */
  get data(): Uint8Array {
    const copy = new Uint8Array(this.byteLength);
    memory.copy(copy.dataStart, this.at, this.byteLength);
    return copy;
  }

  /** The data as text, which takes two bytes for each character; bytes that are not UTF-8 become U+FFFD. */
  get text(): string {
    return String.UTF8.decodeUnsafe(this.at, this.byteLength);
  }

  /** The part of the data from byte from to byte to, as text. */
  textOf(from: i32, to: i32): string {
    if (from < 0 || to < from || to > this.byteLength) throw new RangeError("textOf: it is no part of " + this.byteLength.toString() + " bytes");
    return String.UTF8.decodeUnsafe(this.at + from, to - from);
  }

  /** The place of the first byte b at or after from, or -1. */
  indexOf(b: u8, from: i32 = 0): i32 {
    for (let i = max(from, 0); i < this.byteLength; i++) {
      if (load<u8>(this.at + i) == b) return i;
    }
    return -1;
  }

  /** The partition key. */
  get key(): string {
    return String.UTF8.decodeUnsafe(this.keyAt, this.keyLength);
  }

  /** Small named values that travel with the record. */
  get attrs(): Attr[] {
    const count = this.attrsLength ? <i32>load<u16>(this.attrsAt) : 0;
    const attrs = new Array<Attr>(count);
    let at = this.attrsAt + 4 + 8 * count;
    for (let i = 0; i < count; i++) {
      const entry = this.attrsAt + 4 + 8 * i;
      const name = <usize>load<u16>(entry);
      const value = <usize>load<u32>(entry, 4);
      attrs[i] = new Attr(String.UTF8.decodeUnsafe(at, name), String.UTF8.decodeUnsafe(at + name, value));
      at += name + value;
    }
    return attrs;
  }
}
