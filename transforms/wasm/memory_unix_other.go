//go:build unix && !linux

package wasm

func adviseHuge([]byte) {}
