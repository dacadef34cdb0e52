package vfs

import "errors"

var (
	// ErrLocked says that another process, or another part of this one, holds a lock.
	ErrLocked = errors.New("locked by another process")
	// ErrFrozen says that a Mem was frozen: as for a process that was killed, nothing that is done reaches it any more.
	ErrFrozen = errors.New("file system is frozen")
)
