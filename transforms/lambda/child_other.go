//go:build unix && !linux

package lambda

// fionread asks how much there is to read: _IOR('f', 127, int), which x/sys does not name for all of them.
const fionread = 0x4004667f

// awaitExit reports that there is no way to wait for a process and to leave it in the system's table.
func awaitExit(int) bool { return false }
