package benchkinesis

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/leatstream/leat/core/fault"
)

const (
	contentType = "application/x-amz-json-1.1"
	// patience is how long an answer may take.
	patience = 30 * time.Second
	// largest is the longest answer that is read: 10 MiB of records are about 14 MiB of base64, and each has some more.
	largest = 64 << 20
)

// endpoint is a Kinesis API. Its connections speak HTTP/1.1 by hand: a request is one write of bytes that were encoded and
// signed before, so that the client takes as little as can be of the cores that it shares with the server.
type endpoint struct {
	signer
	url  string
	addr string
	tls  *tls.Config // nil: plain
}

func newEndpoint(raw string, o *Options) (*endpoint, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return nil, fault.New(fault.Permanent, "bench.endpoint", "%q is not the URL of an endpoint", raw).
			WithHint("such as http://127.0.0.1:4567")
	}
	e := &endpoint{signer: signer{Credentials: o.Credentials, host: u.Host, region: o.Region}, url: raw, addr: u.Host}
	if u.Port() == "" {
		e.addr = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	if u.Scheme == "https" {
		e.tls = &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: o.NoVerify, NextProtos: []string{"http/1.1"}}
	}
	return e, nil
}

// conn is a connection. One goroutine uses it.
type conn struct {
	to   *endpoint
	net  net.Conn
	in   *bufio.Reader
	body []byte // of the last answer
	stop func() bool
}

// dial connects. When ctx is done, what the connection waits for fails.
func (e *endpoint) dial(ctx context.Context) (*conn, error) {
	c := &conn{to: e}
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *conn) connect(ctx context.Context) error {
	e, dialer := c.to, net.Dialer{Timeout: 5 * time.Second}
	n, err := dialer.DialContext(ctx, "tcp", e.addr)
	if err == nil && e.tls != nil {
		secure := tls.Client(n, e.tls)
		err = secure.HandshakeContext(ctx)
		n = secure
	}
	if err != nil {
		return errors.Join(ctx.Err(), unreachable(e, err))
	}
	c.net, c.in = n, bufio.NewReaderSize(n, 64<<10)
	c.stop = context.AfterFunc(ctx, func() { _ = n.SetDeadline(time.Unix(1, 0)) })
	return nil
}

func unreachable(e *endpoint, err error) error {
	hint := "start leat there with leat serve --limits off, or name another with --endpoint"
	var unknown *tls.CertificateVerificationError
	if errors.As(err, &unknown) {
		hint = "--no-verify-ssl takes the certificate as it is"
	}
	return fault.New(fault.Unavailable, "bench.endpoint_down", "nobody answers at %s: %w", e.url, err).WithHint("%s", hint)
}

func (c *conn) close() {
	c.stop()
	_ = c.net.Close() // nothing is lost that was answered
}

// do sends a request and returns the answer, whose body is valid until the next one.
func (c *conn) do(ctx context.Context, request []byte) (status int, body []byte, err error) {
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	_ = c.net.SetDeadline(time.Now().Add(patience)) // fails on a closed connection alone, which the write reports
	resp, err := c.roundTrip(request)
	if err == nil {
		c.body, err = readBody(resp, c.body[:0])
	}
	if err != nil {
		if ctx.Err() != nil {
			return 0, nil, ctx.Err()
		}
		return 0, nil, fault.New(fault.Unavailable, "bench.connection", "%s ended a connection before it answered: %w", c.to.url, err).
			WithHint("see the log of the server")
	}
	if resp.Close {
		c.close()
		err = c.connect(ctx)
	}
	return resp.StatusCode, c.body, err
}

func (c *conn) roundTrip(request []byte) (*http.Response, error) {
	if _, err := c.net.Write(request); err != nil {
		return nil, err
	}
	return http.ReadResponse(c.in, nil)
}

func readBody(resp *http.Response, into []byte) ([]byte, error) {
	n := resp.ContentLength
	switch {
	case n > largest:
		return nil, fmt.Errorf("an answer of %d bytes", n)
	case n >= 0:
		if int64(cap(into)) < n {
			into = make([]byte, n+n/4)
		}
		into = into[:n]
		_, err := io.ReadFull(resp.Body, into)
		return into, err
	}
	buf := bytes.NewBuffer(into)
	_, err := buf.ReadFrom(io.LimitReader(resp.Body, largest))
	return buf.Bytes(), err
}

// apiError is an error that the API has answered.
type apiError struct {
	Operation, Code, Message string
	Status                   int
}

func (e *apiError) Error() string {
	return fmt.Sprintf("%s: %s: %s (HTTP status %d)", e.Operation, e.Code, e.Message, e.Status)
}

// failed makes an error of an answer.
func failed(operation string, status int, body []byte) error {
	var said struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
		Capital string `json:"Message"`
	}
	if json.Unmarshal(body, &said) != nil || said.Type == "" {
		said.Type, said.Message = "answer", fmt.Sprintf("%.200q", body)
	}
	_, name, ok := strings.Cut(said.Type, "#")
	if !ok {
		name = said.Type
	}
	e := &apiError{operation, name, said.Message + said.Capital, status}
	switch name {
	case "UnrecognizedClientException", "InvalidSignatureException", "MissingAuthenticationTokenException", "AccessDeniedException",
		"IncompleteSignatureException", "ExpiredTokenException":
		return fault.New(fault.Unauthorized, "bench.credentials", "%w", e).
			WithHint("set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for temporary ones, AWS_SESSION_TOKEN; --region is part of a signature")
	}
	return e
}

// isCode reports whether err is an answer of the API with that code.
func isCode(err error, code string) bool {
	var e *apiError
	return errors.As(err, &e) && e.Code == code
}

// call sends a request that no clock is on. It asks again when the answer is that calls come too fast.
func (c *conn) call(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	for attempt := range callAttempts {
		if attempt > 0 {
			time.Sleep(callPause)
		}
		status, answer, err := c.do(ctx, c.to.request(operation, body, time.Now()))
		if err != nil {
			return err
		}
		if status == http.StatusOK {
			return parse(operation, answer, out)
		}
		if err = failed(operation, status, answer); !isCode(err, "LimitExceededException") || attempt == callAttempts-1 {
			return err
		}
	}
	return nil
}

// Calls of the control plane are limited to 5 a second, most of them.
const (
	callAttempts = 6
	callPause    = 300 * time.Millisecond
)

func parse(operation string, answer []byte, out any) error {
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s: the answer is not JSON: %w", operation, err)
	}
	return nil
}
