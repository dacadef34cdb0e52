package benchkinesis

import "syscall"

// dieWithParent keeps a server from outliving a benchmark that is killed.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
