;; The smallest transform: it keeps every record as it is, so that a benchmark sees the host and not a guest.
;; identity.wasm is made of it by: wat2wasm identity.wat
(module
  (memory (export "memory") 32)
  (func (export "leat_tx_1"))
  ;; One input arena, from 64 KiB on. It asks for room for the answer too: 24 bytes a record are less than the input's 48.
  (func (export "leat_alloc") (param $size i32) (result i32)
    (local $pages i32)
    (local.set $pages
      (i32.sub
        (i32.add (i32.const 3) (i32.shr_u (local.get $size) (i32.const 15)))
        (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0))
      (then
        (if (i32.lt_s (memory.grow (local.get $pages)) (i32.const 0))
          (then (return (i32.const 0))))))
    (i32.const 65536))
  (func (export "leat_configure") (param i32 i32) (result i32)
    (i32.const 0))
  (func (export "leat_transform") (param $in i32) (param $len i32) (result i64)
    (local $out i32) (local $count i32) (local $at i32) (local $end i32)
    (local.set $count (i32.load offset=8 (local.get $in)))
    (local.set $out
      (i32.and (i32.add (i32.add (local.get $in) (local.get $len)) (i32.const 7)) (i32.const -8)))
    (local.set $at (i32.add (local.get $out) (i32.const 32)))
    (local.set $end (i32.add (local.get $at) (i32.mul (local.get $count) (i32.const 24))))
    (memory.fill (local.get $out) (i32.const 0) (i32.sub (local.get $end) (local.get $out)))
    (i32.store (local.get $out) (i32.const 0x3152544c))           ;; "LTR1"
    (i32.store offset=4 (local.get $out) (i32.const 0x00200001))  ;; version 1, header of 32 bytes
    (i32.store offset=8 (local.get $out) (local.get $count))
    (i32.store offset=16 (local.get $out) (i32.const 32))
    (i32.store offset=20 (local.get $out) (i32.sub (local.get $end) (local.get $out)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (i32.store8 (local.get $at) (i32.const 1))                ;; unchanged
        (local.set $at (i32.add (local.get $at) (i32.const 24)))
        (br $next)))
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $out)) (i64.const 32))
      (i64.extend_i32_u (i32.sub (local.get $end) (local.get $out))))))
