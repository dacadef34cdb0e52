package wire

import (
	"net"
	"sync"
)

// rooms is how many connections there may be at once. Half of the files that the process may open are left to the logs:
// clients that connect and connect shall not keep records from being stored.
type rooms chan struct{}

func newRooms() rooms { return make(rooms, max(openFiles()/2, 1)) }

// limited accepts connections while there is room; others wait in the queue of the operating system.
type limited struct {
	net.Listener
	rooms  rooms
	closed chan struct{}
	close  func() error
}

func (r rooms) limit(l net.Listener) net.Listener {
	closed := make(chan struct{})
	return &limited{Listener: l, rooms: r, closed: closed, close: sync.OnceValue(func() error {
		close(closed)
		return l.Close()
	})}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.rooms <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.rooms
		return nil, err
	}
	return &roomed{Conn: c, leave: sync.OnceFunc(func() { <-l.rooms })}, nil
}

// Close implements net.Listener.
func (l *limited) Close() error { return l.close() }

// roomed is a connection that makes room when it is closed.
type roomed struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *roomed) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// CloseWrite lets net/http end its side first, so that clients read an answer before they hear that they are cut.
func (c *roomed) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
