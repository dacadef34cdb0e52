package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/leatstream/leat/core/vfs"
)

// holder is what LOCK says about the process that holds it, for whoever finds it held. The lock alone decides: what is in the file
// stays there when its process dies, and whether it can be written decides nothing.
type holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"` // a process id means nothing on another, or in another container
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

// sign writes into LOCK, which is held, that this process does so.
func sign(fsys vfs.FS, name string) {
	h := holder{PID: os.Getpid(), Command: filepath.Base(os.Args[0]), Since: time.Now().UTC().Truncate(time.Second)}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") { // what follows may be secret
		h.Command += " " + os.Args[1]
	}
	h.Host, _ = os.Hostname()
	text, err := json.Marshal(h)
	if err != nil {
		return
	}
	f, err := fsys.Open(name)
	if err != nil {
		return
	}
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt(append(text, '\n'), 0)
	}
	_ = f.Close()
}

// heldBy says who holds LOCK, which somebody does; empty if that cannot be told.
func heldBy(fsys vfs.FS, name string) string {
	text, err := readSmall(fsys, name)
	var h holder
	if err != nil || json.Unmarshal([]byte(text), &h) != nil || h.PID <= 0 {
		return ""
	}
	where := ""
	switch here, _ := os.Hostname(); {
	case h.Host != here:
		where = fmt.Sprintf(" on %q", h.Host)
	case !alive(h.PID): // it died, and the one that holds it now has not signed yet
		return ""
	}
	return fmt.Sprintf(" by process %d%s (%.40q, since %s)", h.PID, where, h.Command, h.Since.Format(time.RFC3339))
}

func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	err = p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, fs.ErrPermission) // of another user
}
