package observe

import (
	"time"

	"github.com/leatstream/leat/core/vfs"
)

// MeasureFS returns fsys, with the time and the failures of writes and syncs counted in m.
func MeasureFS(fsys vfs.FS, m *Metrics) vfs.FS {
	if m == nil {
		return fsys
	}
	return measuredFS{fsys, m}
}

type measuredFS struct {
	vfs.FS
	metrics *Metrics
}

func (f measuredFS) Create(name string) (vfs.File, error) { return f.file(f.FS.Create(name)) }

func (f measuredFS) Open(name string) (vfs.File, error) { return f.file(f.FS.Open(name)) }

func (f measuredFS) file(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return measuredFile{file, f.metrics}, nil
}

func (f measuredFS) SyncDir(name string) error {
	err := f.FS.SyncDir(name)
	if err != nil {
		f.metrics.ioFailures.WithLabelValues("sync_dir").Inc()
	}
	return err
}

type measuredFile struct {
	vfs.File
	metrics *Metrics
}

func (f measuredFile) WriteAt(p []byte, off int64) (int, error) {
	started := time.Now()
	n, err := f.File.WriteAt(p, off)
	f.metrics.writtenBytes.Add(float64(n))
	if err != nil {
		f.metrics.ioFailures.WithLabelValues("write").Inc()
		return n, err
	}
	f.metrics.writeSeconds.Observe(time.Since(started).Seconds())
	return n, nil
}

func (f measuredFile) Sync() error {
	started := time.Now()
	if err := f.File.Sync(); err != nil {
		f.metrics.ioFailures.WithLabelValues("sync").Inc()
		return err
	}
	f.metrics.syncSeconds.Observe(time.Since(started).Seconds())
	return nil
}

func (f measuredFile) Allocate(size int64) error {
	err := f.File.Allocate(size)
	if err != nil {
		f.metrics.ioFailures.WithLabelValues("allocate").Inc()
	}
	return err
}
