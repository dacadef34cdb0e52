;; Work without end that a garbage collection has to wait for: spinning, and instructions that work long.
(module
  (memory (export "memory") 1024 1100)
  (table 131072 131072 funcref)
  (func $f (param i32) (result i32) (i32.add (i32.mul (local.get 0) (i32.const 5)) (i32.const 3)))
  (func (export "spin") (loop (br 0)))
  (func (export "calls") (local i32) (loop (local.set 0 (call $f (local.get 0))) (br 0)))
  ;; Each load misses the cache and, mostly, the TLB.
  (func (export "chase") (local i32)
    (loop
      (local.set 0 (i32.and (i32.add (i32.mul (i32.add (local.get 0) (i32.load (local.get 0))) (i32.const 1664525)) (i32.const 1013904223)) (i32.const 0x3fffffc)))
      (br 0)))
  (func (export "fill") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 67108864)) (br 0)))
  (func (export "copy") (loop (memory.copy (i32.const 0) (i32.const 33554432) (i32.const 33554432)) (br 0)))
  (func (export "overlap") (loop (memory.copy (i32.const 7) (i32.const 0) (i32.const 67108000)) (br 0)))
  (func (export "table") (loop (table.fill 0 (i32.const 0) (ref.null func) (i32.const 131072)) (br 0)))
  (func (export "grow") (loop (drop (memory.grow (i32.const 1))) (br 0)))
  (func (export "divide") (local i64) (loop (local.set 0 (i64.rem_s (i64.const -9000000000000000001) (i64.or (local.get 0) (i64.const 3)))) (br 0)))
)
