import { Attr } from "./record";
import { output } from "./memory";

/** Returns n bytes for Result.reserved, in the answer itself, so that they are not copied again. They are valid until the next call of reserve. */
export function reserve(n: i32): usize {
  return output.room(n);
}

/** One output. Unless it says otherwise it has the key and the attributes of the record. */
export class Out {
  bytes: Uint8Array | null = null;
  string: string | null = null;
  /** What was reserved for it, or less than 0. */
  reserved: i32 = -1;
  /** The part of the record's data that it has, if from is not less than 0. */
  from: i32 = -1;
  to: i32 = 0;
  partitionKey: string = "";
  attrs: Attr[] | null = null;
  partition: Attr[] | null = null;

  /** An output with data of its own. */
  static data(bytes: Uint8Array): Out {
    const o = new Out();
    o.bytes = bytes;
    return o;
  }

  /** An output whose data is text, in UTF-8. */
  static text(text: string): Out {
    const o = new Out();
    o.string = text;
    return o;
  }

  /** An output with the record's data. */
  static keep(): Out {
    return new Out();
  }

  /** An output with the part of the record's data from byte from to byte to. It costs no copy. */
  static part(from: i32, to: i32): Out {
    if (from < 0 || to < from) throw new RangeError("part: from is " + from.toString() + ", to is " + to.toString());
    const o = new Out();
    o.from = from;
    o.to = to;
    return o;
  }

  /** Replaces the partition key, unless key is empty. */
  key(key: string): Out {
    this.partitionKey = key;
    return this;
  }

  /** Adds an attribute. The first call takes those of the record away. */
  attr(name: string, value: string): Out {
    if (!this.attrs) this.attrs = [];
    this.attrs!.push(new Attr(name, value));
    return this;
  }

  /** Takes the attributes of the record away. */
  noAttrs(): Out {
    this.attrs = [];
    return this;
  }

  /** Adds a value for !{partitionKeyFromLambda:name} in the prefix of a sink. */
  partitionBy(name: string, value: string): Out {
    if (!this.partition) this.partition = [];
    this.partition!.push(new Attr(name, value));
    return this;
  }

  /** Whether nothing differs from the record. */
  get isKeep(): bool {
    return (
      this.bytes == null && this.string == null && this.reserved < 0 && this.from < 0 && !this.partitionKey.length && this.attrs == null && this.partition == null
    );
  }
}

export const enum Kind {
  Keep,
  Drop,
  One,
  Emit,
  Fail,
}

/** What becomes of a record. */
export class Result {
  constructor(
    public kind: Kind,
    public one: Out | null = null,
    public outs: Out[] | null = null,
    public code: string = "",
    public reason: string = "",
  ) {}

  /** The record goes on as it came. */
  static keep(): Result {
    return keep;
  }

  /** The record ends here: it is not delivered, and that is not an error. */
  static drop(): Result {
    return drop;
  }

  /** Replaces the record's data. */
  static data(bytes: Uint8Array): Result {
    return new Result(Kind.One, Out.data(bytes));
  }

  /** Replaces the record's data by text, in UTF-8. */
  static text(text: string): Result {
    return new Result(Kind.One, Out.text(text));
  }

  /** Replaces the record's data by the n bytes that reserve has returned. It is for each, not for batch. */
  static reserved(n: i32): Result {
    const o = new Out();
    o.reserved = n;
    return new Result(Kind.One, o);
  }

  /** Replaces the record's data by a part of it, from byte from to byte to. It costs no copy. */
  static part(from: i32, to: i32): Result {
    return new Result(Kind.One, Out.part(from, to));
  }

  /** Replaces the record by one output. */
  static out(out: Out): Result {
    return new Result(Kind.One, out);
  }

  /** Replaces the record by several; none drops it. */
  static emit(outs: Out[]): Result {
    return new Result(outs.length ? Kind.Emit : Kind.Drop, null, outs);
  }

  /**
   * Sends the record to the dead letters. code is for programs: lower case, words joined by dots and underscores, such as
   * csv.too_few_fields. reason is a sentence for people.
   */
  static fail(code: string, reason: string): Result {
    return new Result(Kind.Fail, null, null, code, reason);
  }
}

const keep = new Result(Kind.Keep);
const drop = new Result(Kind.Drop);
