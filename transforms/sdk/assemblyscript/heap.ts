// Counts what a module allocates, which leat transform bench shows. leat's builds put leat_new in the place of the runtime's __new.

import { __new as take } from "rt/tcms"; // the runtime minimal

let allocated: u64 = 0;

export function leat_new(size: usize, id: i32): usize {
  allocated++;
  return take(size, id);
}

export function leat_allocations(): u64 {
  return allocated;
}
