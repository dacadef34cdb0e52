package builtin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// reference is where a table comes from.
type reference interface {
	// version is equal for as long as the content is the same.
	version(ctx context.Context) (string, error)
	// read hands the content to use.
	read(ctx context.Context, use func(from io.ReaderAt, size int64) error) error
	// String is its name, for people.
	String() string
}

// fileReference is a file of this machine.
type fileReference string

func (f fileReference) version(context.Context) (string, error) {
	info, err := os.Stat(string(f))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d bytes of %d", info.Size(), info.ModTime().UnixNano()), nil
}

func (f fileReference) read(_ context.Context, use func(from io.ReaderAt, size int64) error) (err error) {
	file, err := os.Open(string(f))
	if err != nil {
		return err
	}
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return errors.New("it is a folder")
	}
	return use(file, info.Size())
}

func (f fileReference) String() string { return string(f) }

// lookup keeps the table of a reference up to date. It has one goroutine, which close ends.
type lookup struct {
	from   reference
	format referenceFormat
	shape  tableShape
	log    *slog.Logger

	current atomic.Pointer[table]
	loading sync.Mutex
	version string // of current
	broken  string // what was said last: each fault is said once

	stop context.CancelFunc
	done sync.WaitGroup
}

// load reads the reference if it is not the one in use. Whoever reads sees the table of before or the new one, and that of before
// for as long as the new one cannot be read.
func (l *lookup) load(ctx context.Context) error {
	l.loading.Lock()
	defer l.loading.Unlock()
	err := l.tryLoad(ctx)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		l.broken = ""
		return nil
	}
	bad := fault.New(classOfReference(err), "enrich.bad_reference", "the reference %v cannot be used: %w", l.from, err)
	column, _ := errors.AsType[errNoColumn](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		bad = bad.WithHint("a relative path is relative to the pipeline file")
	case len(column.has) == 1 && l.format.name == "csv":
		bad = bad.WithHint("if that are several, set the delimiter that is between them")
	}
	said := err.Error()
	if f, ok := errors.AsType[*fault.Error](err); ok {
		said = f.Code // the text of a network's error is another each time
	}
	if l.current.Load() != nil && l.broken != said {
		l.broken = said
		l.log.Warn("the reference cannot be used; records are enriched from what it was before", "reference", l.from.String(), "error", bad)
	}
	return bad
}

func (l *lookup) tryLoad(ctx context.Context) error {
	version, err := l.from.version(ctx)
	if err != nil || version == l.version && l.current.Load() != nil {
		return err
	}
	var t *table
	err = l.from.read(ctx, func(from io.ReaderAt, size int64) (err error) {
		t, err = l.format.read(from, size, l.shape)
		return err
	})
	if err != nil {
		return err
	}
	if now, err := l.from.version(ctx); err != nil || now != version {
		return errors.Join(errors.New("it changed while it was read"), err)
	}
	if l.current.Swap(t) != nil {
		l.log.Info("the reference has changed; records are enriched from it", "reference", l.from.String(), "rows", len(t.rows))
	}
	if t.doubled > 0 {
		l.log.Warn("the reference has keys more than once; the last row counts", "reference", l.from.String(), "rows", t.doubled)
	}
	l.version = version
	return nil
}

// classOfReference is Permanent for a reference that will not be better without somebody's help.
func classOfReference(err error) fault.Class {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Class
	}
	return fault.Permanent
}

// follow loads the reference anew when it changes, looking every so often.
func (l *lookup) follow(every time.Duration) {
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if l.current.Load() != nil {
					_ = l.load(ctx) // it has said so in the log
				}
			case <-ctx.Done():
				return
			}
		}
	})
}

// table returns the table, which it loads if it has none.
func (l *lookup) table(ctx context.Context) (*table, error) {
	if t := l.current.Load(); t != nil {
		return t, nil
	}
	if err := l.load(ctx); err != nil {
		if ctx.Err() != nil || fault.ClassOf(err) != fault.Permanent {
			return nil, err
		}
		// It is not the records' fault, and may be over when the reference changes.
		return nil, fault.New(fault.Unavailable, "enrich.bad_reference", "%w", err)
	}
	return l.current.Load(), nil
}

func (l *lookup) close() {
	l.stop()
	l.done.Wait()
}
