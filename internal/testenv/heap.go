package testenv

import "runtime"

// LiveHeap is how many bytes of the heap are in use once garbage is collected.
func LiveHeap() int64 {
	runtime.GC()
	runtime.GC() // what pools have given up
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
