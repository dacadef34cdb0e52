package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/leatstream/leat/core/fault"
)

// maxKey is the longest key in bytes, as for S3.
const maxKey = 1024

// nameOf returns the path of a key below the directory. Control characters and backslashes are ordinary in file names;
// empty segments vanish; what cannot be a name is refused.
func nameOf(key string) (string, error) {
	bad := func(why string) (string, error) {
		return "", fault.New(fault.Permanent, "sink.bad_key", "file sink: key %.100q %s", key, why)
	}
	switch {
	case key == "" || strings.HasSuffix(key, "/"):
		return bad("names no file")
	case len(key) > maxKey:
		return bad("is longer than 1024 bytes")
	case !utf8.ValidString(key):
		return bad("is not UTF-8")
	case strings.IndexByte(key, 0) >= 0:
		return bad("contains a NUL")
	case key[0] == '/':
		return bad("is absolute")
	}
	for i, segment := range strings.Split(key, "/") {
		switch {
		case segment == "." || segment == "..":
			return bad("has a segment " + segment)
		case i == 0 && segment == TempDir:
			return bad("is in " + TempDir + ", which is for files that are not complete")
		}
	}
	return filepath.Clean(filepath.FromSlash(key)), nil
}

// failed gives err a class. what is the key or the folder that was worked on, empty for the directory itself.
func (s *Sink) failed(what string, err error) error {
	var classed *fault.Error
	if errors.As(err, &classed) {
		return err
	}
	where := s.label()
	if what != "" {
		where += ": " + what
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Retryable, "sink.file.cancelled", "%s: %w", where, err)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fault.New(fault.Unavailable, "sink.file.disk_full", "%s: %w", where, err).
			WithHint("make room on the volume; delivery goes on by itself")
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Unauthorized, "sink.file.access_denied", "%s: %w", where, err).
			WithHint("let the user that runs leat write there")
	case errors.Is(err, unix.EROFS):
		return fault.New(fault.Unauthorized, "sink.file.read_only", "%s: %w", where, err).
			WithHint("the volume is mounted read-only; if nobody asked for that, its disk may be failing")
	case errors.Is(err, unix.ENAMETOOLONG):
		return fault.New(fault.Permanent, "sink.bad_key", "%s: %w", where, err).
			WithHint("no part of the path between slashes may be longer than 255 bytes")
	case errors.Is(err, unix.ENOTDIR) && what == "":
		return fault.New(fault.Unauthorized, "sink.file.not_a_directory", "%s: %w", where, err).
			WithHint("a file stands where a directory should be")
	case errors.Is(err, unix.ENOTDIR):
		return fault.New(fault.Permanent, "sink.conflict", "%s: %w", where, err).
			WithHint("a file stands where a directory should be: let no other program write below this prefix")
	case errors.Is(err, unix.EXDEV):
		return fault.New(fault.Unauthorized, "sink.file.other_volume", "%s: %w", where, err).
			WithHint("all of the directory must be on one volume; give the sink the mounted one")
	case errors.Is(err, unix.EIO):
		return fault.New(fault.Unavailable, "sink.file.io", "%s: %w", where, err).WithHint("the disk may be failing")
	}
	return fault.New(fault.Retryable, "sink.file.failed", "%s: %w", where, err)
}

// Probe checks that the directory, or the nearest parent that exists, is one that leat may write to.
func (s *Sink) Probe(context.Context) error {
	for dir := s.dir; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
			continue
		}
		if err != nil {
			return s.failed("", err)
		}
		if !info.IsDir() {
			return s.failed("", &fs.PathError{Op: "open", Path: dir, Err: unix.ENOTDIR})
		}
		if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
			return s.failed("", &fs.PathError{Op: "write to", Path: dir, Err: err})
		}
		return nil
	}
}
