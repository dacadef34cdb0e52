#!/bin/sh
# Builds the modules of the tests from their sources: needs wabt, clang, wasm-ld, rustc and asc. The modules are
# committed, so that tests need none of them.
set -e
cd "$(dirname "$0")"
for f in wat/*.wat; do wat2wasm "$f" -o "${1:-.}/${f%.wat}.wasm"; done
clang --target=wasm32 -O2 -nostdlib -ffreestanding -fno-builtin -Wl,--no-entry -Wl,--strip-all \
  -o "${1:-.}/c/work.wasm" c/work.c
"${RUSTC:-rustc}" --target wasm32-unknown-unknown --crate-type cdylib -O -C panic=abort -C strip=symbols -o "${1:-.}/rust/work.wasm" rust/work.rs # Debian's 1.63
asc assemblyscript/work.ts -O2 --noAssert --use abort= -o "${1:-.}/assemblyscript/work.wasm" # assemblyscript 0.28
