//go:build !linux

package miniotest

import "syscall"

// dieWithParent does nothing here: the server of a test process that is killed has to be ended by hand.
func dieWithParent() *syscall.SysProcAttr { return nil }
