package datadir_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/leatstream/leat/core/datadir"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/vfs"
)

func TestADirectoryOfAnotherUserIsRefusedWithAHint(t *testing.T) {
	for _, denied := range []vfs.Op{vfs.OpMkdirAll, vfs.OpLock, vfs.OpCreate} {
		fsys := vfs.NewErrors(vfs.NewMem(), func(op vfs.Op, name string, _ int) vfs.Fault {
			if op == denied {
				return vfs.Fault{Err: &fs.PathError{Op: op.String(), Path: name, Err: fs.ErrPermission}}
			}
			return vfs.Fault{}
		})
		dir, err := datadir.Open(fsys, "/data", nil)
		if err == nil {
			err = errors.Join(errors.New("it opens"), dir.Close())
		}
		if fault.CodeOf(err) != "data.permission" || fault.ClassOf(err) != fault.Unauthorized || !strings.Contains(err.Error(), "the user who owns") {
			t.Errorf("%v denied: %v", denied, err)
		}
	}
}
