package control

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
)

const (
	folderName = "control"
	socketName = "leat.sock"
	// maxPath is the longest path of a Unix socket, in bytes, that every system takes: macOS has room for 104 with the NUL.
	maxPath = 103
	// tempPrefix begins the names of the folders in the system's temporary folder that hold sockets whose own path is too long.
	tempPrefix = "leat-control-"
)

// socketPath is where the socket of a data directory is, or a link to it.
func socketPath(dataDir string) string { return filepath.Join(dataDir, folderName, socketName) }

// socket is a listening Unix socket that only this user can reach.
type socket struct {
	net.Listener
	path string // the socket, or the link to it
	temp string // the folder of the socket itself, if path is a link
}

// listen listens in a data directory, which the caller has locked: a socket that is there was left by a process that was
// killed. Where the path is too long for a socket, or the file system has none, it is in a private temporary folder.
func listen(dataDir string) (*socket, error) {
	s := &socket{path: socketPath(dataDir)}
	folder := filepath.Dir(s.path)
	if err := errors.Join(os.MkdirAll(folder, 0o700), os.Chmod(folder, 0o700)); err != nil {
		return nil, err
	}
	if err := s.remove(); err != nil {
		return nil, err
	}
	var err error
	if len(s.path) <= maxPath {
		if s.Listener, err = net.Listen("unix", s.path); err == nil {
			return s, s.private(s.path)
		}
	}
	temp, tempErr := os.MkdirTemp("", tempPrefix)
	if tempErr != nil {
		return nil, errors.Join(err, tempErr)
	}
	s.temp = temp
	own := filepath.Join(temp, socketName)
	if s.Listener, tempErr = net.Listen("unix", own); tempErr != nil {
		return nil, errors.Join(err, tempErr, os.RemoveAll(temp))
	}
	if err := os.Symlink(own, s.path); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, s.private(own)
}

// private is a second lock on the door: the folder is private already.
func (s *socket) private(path string) error {
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// Close stops listening and removes the socket.
func (s *socket) Close() error {
	err := s.Listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, s.remove())
}

// remove removes the socket, and the temporary folder of one that the path is a link to.
func (s *socket) remove() error {
	if target, err := os.Readlink(s.path); err == nil {
		if folder := filepath.Dir(target); strings.HasPrefix(filepath.Base(folder), tempPrefix) && filepath.Base(target) == socketName {
			_ = os.Remove(target) // it may be another user's, who has got the name since
			_ = os.Remove(folder)
		}
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// errNoSocket is in the error of a client whose socket cannot be there.
var errNoSocket = errors.New("there is no control socket")

// dialPath returns what to connect to for a data directory.
func dialPath(dataDir string) (string, error) {
	path := socketPath(dataDir)
	if target, err := os.Readlink(path); err == nil {
		return target, nil
	}
	if len(path) > maxPath { // then there would be a link
		return "", errNoSocket
	}
	return path, nil
}
