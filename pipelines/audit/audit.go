// Package audit proves from a data directory alone what became of every record of a pipeline. It writes nothing and needs
// no lock, so that it works beside a server that runs.
package audit

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/leatstream/leat/core/datadir"
	"github.com/leatstream/leat/core/delivery"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/vfs"
)

// A server that runs moves on between two looks: an object that was on its way has arrived, and its spool file is gone.
// A problem is one only if it is there at every look.
const (
	looks = 5
	pause = 200 * time.Millisecond
)

// Run audits the deliveries of a pipeline in the data directory at path. Reports have the order of their sinks' names.
// Errors are about reading; what does not hold is in the reports.
func Run(ctx context.Context, fsys vfs.FS, path, pipeline string) ([]*delivery.Report, error) {
	for look := 1; ; look++ {
		reports, err := once(fsys, path, pipeline)
		if err != nil || Holds(reports) || look == looks {
			return reports, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return reports, ctx.Err()
		}
	}
}

// Holds reports whether no report has a problem.
func Holds(reports []*delivery.Report) bool {
	for _, r := range reports {
		if len(r.Problems) > 0 {
			return false
		}
	}
	return true
}

// once reads the state first and the logs after it: records that come in between are pending, and nothing can be
// committed that the log does not hold.
func once(fsys vfs.FS, path, pipeline string) ([]*delivery.Report, error) {
	if _, err := fsys.Stat(filepath.Join(path, "VERSION")); errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Permanent, "audit.no_data", "%s is not a data directory: %w", path, err).
			WithHint("name the one that the pipeline ran with by --data")
	}
	store, err := state.OpenReadOnly(fsys, filepath.Join(path, "state"))
	if err != nil {
		return nil, err
	}
	ids := delivery.List(store, pipeline)
	if len(ids) == 0 {
		return nil, fault.New(fault.Permanent, "audit.no_pipeline", "%s knows no deliveries of a pipeline %q", path, pipeline).
			WithHint("the argument is the pipeline's name in its file, and not the file's")
	}
	dir := datadir.Dir{FS: fsys, Path: path}
	var reports []*delivery.Report
	for _, id := range ids {
		report, err := one(&dir, store, id)
		if err != nil {
			return nil, err
		}
		reports = append(reports, report)
	}
	return reports, nil
}

func one(dir *datadir.Dir, store *state.Store, id delivery.ID) (_ *delivery.Report, err error) {
	spool := dir.Spool(id.Pipeline, id.Sink, id.Incarnation)
	folder := filepath.Join(dir.Path, "streams", id.Incarnation)
	if _, err := dir.FS.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return delivery.Audit(store, id, nil, dir.FS, spool) // the stream has been deleted
	}
	log, err := disk.OpenReadOnly(dir.FS, folder)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return delivery.Audit(store, id, log.Shards(), dir.FS, spool)
}
