// Memory for frames. It is not the runtime's: leat_alloc must be able to say that there is none, where the runtime would trap.

export class Region {
  at: usize = 0;
  /** Bytes in use. */
  length: usize = 0;
  size: usize = 0;

  /** Makes room for size bytes in all and keeps those in use; false if there is none. */
  grow(size: usize): bool {
    if (size <= this.size) return true;
    if (size > 0x7fffffff) return false;
    return this.take(max(size, 2 * this.size)) || this.take(size);
  }

  private take(size: usize): bool {
    const end = <usize>memory.size() << 16;
    const inPlace = this.size > 0 && this.at + this.size == end;
    const more = inPlace ? size - this.size : size;
    const pages = <i32>((more + 0xffff) >>> 16);
    if (memory.grow(pages) < 0) return false;
    if (!inPlace) {
      memory.copy(end, this.at, this.length);
      this.at = end;
      this.size = 0;
    }
    this.size += <usize>pages << 16;
    return true;
  }

  /** Makes room for n bytes at the end and returns where they go. */
  room(n: usize): usize {
    if (this.length + n > this.size && !this.grow(this.length + n)) throw new Error("out of memory");
    return this.at + this.length;
  }

  /** Appends bytes, unless they are where they go already, and returns where they are in the region. */
  put(at: usize, n: usize): usize {
    const to = this.room(n);
    if (at != to) memory.copy(to, at, n);
    this.length += n;
    return to - this.at;
  }

  /** Appends text in UTF-8. */
  putText(text: string): usize {
    const to = this.room(<usize>String.UTF8.byteLength(text));
    this.length += String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, to);
    return to - this.at;
  }
}

export const input = new Region();
export const output = new Region();
/** The table of outs, until it is appended to output. */
export const table = new Region();
