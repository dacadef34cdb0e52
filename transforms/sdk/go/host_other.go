//go:build !wasip1

package leat

import "log"

// Outside a module, as in tests, log lines go to the standard logger and counters nowhere.

func hostLog(level Level, line string) { log.Print(line) }

func hostCount(name string, n int64) {}
