// Package datadir opens leat's data directory:
//
//	LOCK                                 held while a process uses the directory; says which one
//	VERSION                              the layout's version, so that an older leat refuses a newer directory
//	state/                               package state
//	streams/                             package stream
//	spool/<pipeline>/<sink>/<stream>/    sealed objects on their way (package delivery)
//	dead-letters/<pipeline>/             dead letters of pipelines that name no other place
//	tls/                                 the certificate that leat has made for itself (package wire)
//	control/leat.sock                    where commands look into the process that uses the directory (pipelines/control)
package datadir

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/state"
	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/core/vfs"
)

// version is the content of VERSION.
const version = "leat data directory 1\n"

// Dir is an open data directory.
type Dir struct {
	FS      vfs.FS
	Path    string // absolute
	New     bool   // it was not there, or empty
	State   *state.Store
	Streams *stream.Streams

	lock io.Closer
}

// Open opens the directory at path, and makes it if it is missing. Only one process can have it open.
func Open(fsys vfs.FS, path string, logger *slog.Logger) (*Dir, error) {
	return OpenMeasured(fsys, path, logger, nil)
}

// OpenMeasured is Open with metrics, nil for none, of the file system and of what the streams take in.
func OpenMeasured(fsys vfs.FS, path string, logger *slog.Logger, metrics *observe.Metrics) (_ *Dir, err error) {
	fsys = observe.MeasureFS(fsys, metrics)
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, failed("find", path, err)
	}
	if err := fsys.MkdirAll(path); err != nil {
		return nil, failed("make", path, err)
	}
	d := &Dir{FS: fsys, Path: path}
	lock := filepath.Join(path, "LOCK")
	if d.lock, err = fsys.Lock(lock); err != nil {
		if errors.Is(err, vfs.ErrLocked) {
			return nil, fault.New(fault.Unavailable, "data.locked", "data directory %s is in use%s: %w", path, heldBy(fsys, lock), err).
				WithHint("stop the other leat, or choose another directory with --data")
		}
		return nil, failed("lock", path, err)
	}
	sign(fsys, lock)
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := d.checkVersion(); err != nil {
		return nil, err
	}
	if d.State, err = state.Open(fsys, filepath.Join(path, "state"), state.Options{Logger: logger}); err != nil {
		return nil, err
	}
	d.Streams, err = stream.Open(fsys, filepath.Join(path, "streams"), d.State, stream.Options{Logger: logger, Metrics: metrics})
	return d, err
}

// checkVersion refuses a directory of another layout, and marks a new one.
func (d *Dir) checkVersion() error {
	name := filepath.Join(d.Path, "VERSION")
	got, err := readSmall(d.FS, name)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && got == "":
		d.New = true
		return d.writeVersion(name)
	case err != nil:
		return failed("read", name, err)
	case got != version:
		return fault.New(fault.Permanent, "data.version", "data directory %s has the layout %q, this leat knows %q",
			d.Path, strings.TrimSpace(got), strings.TrimSpace(version)).WithHint("use the leat that wrote it, or a newer one")
	}
	return nil
}

// writeVersion may be interrupted: an empty file counts as missing, and a directory without it as new.
func (d *Dir) writeVersion(name string) error {
	f, err := d.FS.Create(name)
	if errors.Is(err, fs.ErrExist) {
		f, err = d.FS.Open(name)
	}
	if err != nil {
		return failed("write", name, err)
	}
	_, err = f.WriteAt([]byte(version), 0)
	if err = errors.Join(err, f.Sync(), f.Close(), d.FS.SyncDir(d.Path)); err != nil {
		return failed("write", name, err)
	}
	return nil
}

func readSmall(fsys vfs.FS, name string) (string, error) {
	f, err := fsys.OpenRead(name)
	if err != nil {
		return "", err
	}
	p := make([]byte, 1024)
	n, err := f.ReadAt(p, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return string(p[:n]), errors.Join(err, f.Close())
}

// Spool is the directory of a delivery's spool files.
func (d *Dir) Spool(pipeline, sink, incarnation string) string {
	return filepath.Join(d.Path, "spool", pipeline, sink, incarnation)
}

// DeadLetters is where a pipeline's dead letters go if it names no other place.
func (d *Dir) DeadLetters(pipeline string) string {
	return filepath.Join(d.Path, "dead-letters", pipeline)
}

// Close closes everything and gives the lock back.
func (d *Dir) Close() error {
	var errs []error
	if d.Streams != nil {
		errs = append(errs, d.Streams.Close())
	}
	if d.State != nil {
		errs = append(errs, d.State.Close())
	}
	return errors.Join(append(errs, d.lock.Close())...)
}

func failed(doing, path string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fault.New(fault.Unauthorized, "data.permission", "%s data directory %s: %w", doing, path, err).
			WithHint("run leat as the user who owns the directory, or choose another with --data")
	}
	return fault.New(fault.Unavailable, "data.io", "%s data directory %s: %w", doing, path, err)
}
