package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"

	"github.com/leatstream/leat/core/fault"
)

// Client asks the leat that uses a data directory.
type Client struct {
	dir  string
	http http.Client
}

// Dial returns a client. Whether anybody answers shows with the first call, whose error has the code control.not_running
// if nobody does.
func Dial(dataDir string) (*Client, error) {
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, fault.New(fault.Retryable, CodeFailed, "find data directory %s: %w", dataDir, err)
	}
	c := &Client{dir: dir}
	c.http.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			path, err := dialPath(dir)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		DisableKeepAlives: true,
	}
	return c, nil
}

// get asks for a path and returns the body of the answer.
func (c *Client) get(ctx context.Context, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://leat"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	var dial *net.OpError
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, fs.ErrPermission):
		e := fault.New(fault.Unauthorized, CodeFailed, "the leat of the data directory %s is another user's", c.dir).
			WithHint("run the command as that user")
		e.Err = err
		return nil, e
	case errors.As(err, &dial), err != nil && errors.Is(err, errNoSocket):
		e := fault.New(fault.Unavailable, CodeNotRunning, "no leat runs with the data directory %s", c.dir).
			WithHint("start it with leat run or leat serve, or name its data directory with --data")
		e.Err = err
		return nil, e
	case err != nil:
		return nil, fault.New(fault.Unavailable, CodeFailed, "ask the leat of %s: %w", c.dir, err)
	case resp.StatusCode == http.StatusOK:
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var e Error
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&e); err != nil || e.Message == "" {
		return nil, fault.New(fault.Permanent, CodeFailed, "the leat of %s answers %s", c.dir, resp.Status).
			WithHint("is it another version?")
	}
	out := &fault.Error{Code: e.Code, Message: e.Message, Hint: e.Hint}
	for class := fault.Retryable; class <= fault.Permanent; class++ {
		if class.String() == e.Class {
			out.Class = class
		}
	}
	return nil, out
}

// Pipelines lists the pipelines that run.
func (c *Client) Pipelines(ctx context.Context) (all []Pipeline, err error) {
	body, err := c.get(ctx, "/v1/pipelines")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&all); err != nil {
		return nil, fault.New(fault.Retryable, CodeFailed, "read the answer of the leat of %s: %w", c.dir, err)
	}
	return all, nil
}

// Tap calls see with each event until it returns an error, which Tap returns, or there are no more, or ctx is done. The
// last event of a leat that ends in order is EventEnded.
func (c *Client) Tap(ctx context.Context, r Request, see func(*Event) error) error {
	body, err := c.get(ctx, "/v1/tap?"+r.query().Encode())
	if err != nil {
		return err
	}
	defer body.Close()
	events := json.NewDecoder(body)
	for {
		var e Event
		if err := events.Decode(&e); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fault.New(fault.Unavailable, CodeFailed, "the leat of %s ended without a word: %w", c.dir, err)
		}
		if err := see(&e); err != nil || e.Event == EventEnded {
			return err
		}
	}
}
