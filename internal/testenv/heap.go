package testenv

import (
	"runtime"
	"runtime/metrics"
)

// LiveHeap is how many bytes of the heap are in use once garbage is collected. What others allocate since then does not count.
func LiveHeap() int64 {
	runtime.GC()
	runtime.GC() // what pools have given up
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
