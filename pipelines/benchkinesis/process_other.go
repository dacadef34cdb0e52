//go:build !linux

package benchkinesis

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }
