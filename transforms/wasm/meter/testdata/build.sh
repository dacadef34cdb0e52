#!/bin/sh
# Builds the modules of the tests from their sources: needs clang, wasm-ld and wabt. The modules are committed, so that tests need neither.
set -e
cd "$(dirname "$0")"
for f in wat/*.wat; do wat2wasm "$f" -o "${1:-.}/${f%.wat}.wasm"; done
clang --target=wasm32 -O2 -nostdlib -ffreestanding -fno-builtin -Wl,--no-entry -Wl,--strip-all \
  -o "${1:-.}/c/work.wasm" c/work.c
