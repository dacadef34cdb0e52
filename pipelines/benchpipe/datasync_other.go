//go:build !linux

package benchpipe

import "os"

func datasync(f *os.File) error { return f.Sync() }
