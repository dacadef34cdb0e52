// What leat offers to a module.

// @ts-ignore: decorator
@external("leat", "log")
declare function hostLog(level: i32, at: usize, size: usize): void;
// @ts-ignore: decorator
@external("leat", "fail")
declare function hostFail(at: usize, size: usize): void;
// @ts-ignore: decorator
@external("leat", "count")
declare function hostCount(at: usize, size: usize, n: i64): void;

/** The importance of a log line. */
export enum Level {
  Debug = -4,
  Info = 0,
  Warn = 4,
  Error = 8,
}

/** Writes a line to leat's log. Lines are limited in number, so log what is rare. */
export function log(level: Level, line: string): void {
  const text = String.UTF8.encode(line);
  hostLog(level, changetype<usize>(text), text.byteLength);
}

/** Adds n to one of the transform's counters: the metric leat_transform_count{name="…"}. There may be 256 names. */
export function count(name: string, n: i64): void {
  const text = String.UTF8.encode(name);
  hostCount(changetype<usize>(text), text.byteLength, n);
}

/** Says why the current call is about to fail. */
export function fail(reason: string): void {
  const text = String.UTF8.encode(reason);
  hostFail(changetype<usize>(text), text.byteLength);
}
