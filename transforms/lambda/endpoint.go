package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// endpoint asks a handler by HTTP, as Lambda's Invoke API and its runtime interface emulator take events.
type endpoint struct {
	url     string
	shown   string // the URL without its query, which may hold a key
	timeout time.Duration
	client  *http.Client
}

func newEndpoint(c *Config) (*endpoint, error) {
	bad := fault.New(fault.Permanent, CodeInvalidConfig, "url is not that of an endpoint").At(c.PlaceOf("url")).
		WithHint("write http:// or https://, a host and a path, such as http://localhost:8080/2015-03-31/functions/function/invocations")
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, bad
	case u.User != nil:
		return nil, bad.WithHint("it has a user and a password, which leat would show in messages")
	}
	return &endpoint{
		url: c.URL, shown: u.Scheme + "://" + u.Host + u.Path, timeout: c.Timeout.Std(),
		client: &http.Client{
			// A redirect would send records to where the pipeline file does not say.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
				TLSHandshakeTimeout:    10 * time.Second,
				MaxConnsPerHost:        c.Workers,
				MaxIdleConnsPerHost:    c.Workers,
				IdleConnTimeout:        90 * time.Second,
				MaxResponseHeaderBytes: 64 << 10,
				DisableCompression:     true, // so that what is read is what was sent, and bounded
				ForceAttemptHTTP2:      true,
			},
		},
	}, nil
}

func (p *endpoint) close(context.Context) error {
	p.client.CloseIdleConnections()
	return nil
}

func (p *endpoint) ask(ctx context.Context, e *event, use func([]byte) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(e.text))
	if err != nil {
		return fault.New(fault.Permanent, CodeInvalidConfig, "ask the handler: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "leat")
	req.Header.Set("Accept-Encoding", "identity") // without it, any encoding would do (RFC 9110, section 12.5.3)
	resp, err := p.client.Do(req)
	if err != nil {
		return p.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	err = e.read(resp.Body)
	switch {
	case resp.StatusCode/100 == 5:
		// The runtime interface emulator answers 502 for a function that panics or ends, with the error that Lambda answers with 200.
		if told := reported(e.response); told != nil {
			return told
		}
		return refused(resp, e.response)
	case resp.StatusCode/100 != 2:
		return refused(resp, e.response)
	case errors.Is(err, errTooLarge):
		return errTooLarge
	case err != nil:
		return p.unreachable(ctx, err)
	case resp.Header.Get("X-Amz-Function-Error") != "":
		if told := reported(e.response); told != nil {
			return told
		}
		return functionError("", excerpt(e.response))
	case bytes.HasPrefix(e.response, []byte("Task timed out after ")): // the emulator's answer
		return fault.New(fault.Permanent, CodeTimeout, "the function's own time limit ended it: %s", shorten(string(e.response)))
	}
	err = use(e.response)
	switch fault.CodeOf(err) {
	case CodeFunctionError: // without the header, as the emulator answers
		if told := reported(e.response); told != nil {
			return told
		}
	case CodeNotJSON:
		if page := bytes.TrimSpace(e.response); len(page) > 0 && page[0] == '<' { // no function answers so, whatever the records
			return fault.New(fault.Unavailable, CodeUnavailable, "the endpoint answers %s with a web page: %s", resp.Status, excerpt(page)).WithHint(rightPath)
		}
	}
	return err
}

// unreachable is the error of an endpoint that gave no answer. A time limit says nothing about the records either: a function that is
// slow with them is ended by its own time limit, and then there is an answer.
func (p *endpoint) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		if context.Cause(ctx) != error(errTimeout) {
			return context.Cause(ctx)
		}
		return fault.New(fault.Unavailable, CodeUnavailable, "the handler at %s did not respond within %s", p.shown, p.timeout).
			WithHint("give the function a time limit of its own that is shorter than timeout, or raise timeout")
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err // without the method and the URL, which the message has
	}
	return fault.New(fault.Unavailable, CodeUnavailable, "ask the handler at %s: %w", p.shown, err)
}

// refused is the error of a status that is no success. What 4xx says about the event, another event may not hear.
func refused(resp *http.Response, body []byte) error {
	text := strings.TrimSpace(string(body))
	var known struct{ Message, ErrorMessage string }
	if json.Unmarshal(body, &known) == nil && known.Message+known.ErrorMessage != "" {
		text = known.Message + known.ErrorMessage
	}
	if text = shorten(text); text != "" {
		text = ": " + text
	}
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests:
		return asked(resp, fault.New(fault.Throttled, CodeThrottled, "the endpoint answers %s%s", resp.Status, text))
	case code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusProxyAuthRequired:
		return fault.New(fault.Unauthorized, CodeUnauthorized, "the endpoint answers %s%s", resp.Status, text)
	case code == http.StatusBadRequest || code == http.StatusRequestEntityTooLarge || code == http.StatusUnprocessableEntity:
		return fault.New(fault.Permanent, CodeRequestRefused, "the endpoint answers %s%s", resp.Status, text)
	case code == http.StatusNotFound || code == http.StatusMethodNotAllowed:
		return fault.New(fault.Unavailable, CodeUnavailable, "the endpoint answers %s%s", resp.Status, text).
			WithHint(rightPath)
	case code/100 == 3:
		return fault.New(fault.Unavailable, CodeUnavailable, "the endpoint answers %s%s", resp.Status, text).
			WithHint("leat follows no redirects; write the URL that answers, which may be %s", excerpt([]byte(resp.Header.Get("Location"))))
	default:
		return asked(resp, fault.New(fault.Unavailable, CodeUnavailable, "the endpoint answers %s%s", resp.Status, text))
	}
}

const rightPath = "is the path of the URL right? Lambda's emulator has /2015-03-31/functions/function/invocations"

// later is an error whose endpoint says when it may be asked again.
type later struct {
	cause error
	after time.Duration
}

func (l *later) Error() string        { return l.cause.Error() }
func (l *later) Unwrap() error        { return l.cause }
func (l *later) Later() time.Duration { return l.after }

// maxAsked bounds the pause that an endpoint can ask for.
const maxAsked = 5 * time.Minute

// asked gives err the pause that the answer asks for by Retry-After: seconds or a time (RFC 9110, section 10.2.3).
func asked(resp *http.Response, err error) error {
	header := resp.Header.Get("Retry-After")
	after := time.Duration(0)
	if seconds, e := strconv.ParseUint(header, 10, 31); e == nil {
		after = time.Duration(seconds) * time.Second
	} else if at, e := http.ParseTime(header); e == nil {
		after = time.Until(at)
	}
	if after <= 0 {
		return err
	}
	return &later{err, min(after, maxAsked)}
}

// initErrors are types of errors that say that the function cannot start, whatever the event.
// Source: the AWS Lambda developer guide, "Troubleshoot invocation issues", and the runtime interface emulator.
var initErrors = []string{
	"Runtime.ImportModuleError", "Runtime.HandlerNotFound", "Runtime.MalformedHandlerName", "Runtime.UserCodeSyntaxError",
	"Runtime.InvalidEntrypoint", "Runtime.InvalidWorkingDir", "Runtime.NoSuchHandler", "Runtime.HandlerNotFoundException",
}

// reported is the error that a function's answer tells of; nil if it tells of none.
func reported(body []byte) error {
	var answer struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Message == "" && answer.Type == "" {
		return nil
	}
	e := functionError(answer.Type, answer.Message)
	switch {
	case slices.Contains(initErrors, answer.Type):
		e.Class, e.Code = fault.Unavailable, CodeStartFailed
	case answer.Type == "Function.ResponseSizeTooLarge":
		e.Code = CodeResponseTooLarge
	}
	return e
}
