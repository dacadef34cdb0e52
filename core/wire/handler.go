package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/leatstream/leat/core/fault"
)

// Access is a request that has been answered, for logs and metrics.
type Access struct {
	// ID is the request id of the answer.
	ID string
	// Target is X-Amz-Target if an operation was found, else empty: what clients invent makes no labels of metrics.
	Target string
	Format Format
	// Status is the HTTP status, Code the type of the error; empty: there was none.
	Status int
	Code   string
	// In and Out are bytes of bodies, without what HTTP adds.
	In, Out int64
	Began   time.Time
	// Took is the time from the header's arrival to the answer's last byte.
	Took time.Duration
	// Remote is the address of the client.
	Remote string
}

// handler answers requests of all services.
type handler struct {
	cfg        Config
	operations map[string]operation
	budgets    [sizes]*budget
	complaints fault.Complaints
	// stopping ends when event streams shall.
	stopping context.Context
	stop     context.CancelFunc
}

type operation struct {
	name   string
	answer Handler
}

func newHandler(cfg Config) (*handler, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	h := &handler{cfg: cfg, operations: map[string]operation{}}
	h.budgets[sizeSmall] = newBudget(cfg.BodyMemory / 4)
	h.budgets[sizeLarge] = newBudget(cfg.BodyMemory - cfg.BodyMemory/4)
	for _, s := range cfg.Services {
		for name, answer := range s.Operations {
			target := s.Target + "." + name
			if _, twice := h.operations[target]; twice {
				return nil, fmt.Errorf("wire: two services answer %s", target)
			}
			h.operations[target] = operation{name: name, answer: answer}
		}
	}
	h.stopping, h.stop = context.WithCancel(context.Background())
	return h, nil
}

// Types of errors of the protocols, not of a service.
const (
	codeAccessDenied     = "AccessDeniedException"
	codeIncomplete       = "IncompleteSignatureException"
	codeInternalFailure  = "InternalFailure"
	codeInvalidSignature = "InvalidSignatureException"
	codeMissingToken     = "MissingAuthenticationTokenException"
	codeTimeout          = "RequestTimeoutException"
	codeTooLarge         = "RequestEntityTooLargeException"
	codeUnavailable      = "ServiceUnavailable"
	codeUnknownOperation = "UnknownOperationException"
)

const internalFailure = "The request processing has failed because of an unknown error, exception or failure."

// exchange is a request and its answer.
type exchange struct {
	h       *handler
	w       http.ResponseWriter
	control http.ResponseController
	r       *http.Request
	request Request // as the operation gets it
	access  Access
	context operationContext
	// connection that the request came on.
	connection *connection
	// xml: errors go out in the form that the service has where it cannot tell the protocol.
	xml bool
	// wrote is whether the answer's header is out.
	wrote bool
	// body of the request, once it has been read.
	body []byte
	// reserved is what it takes of the budgets.
	reserved [sizes]int64
	// values of the answer's headers, up to used.
	values [6]string
	used   int
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{h: h, w: w, control: *http.NewResponseController(w), r: r}
	x.access = Access{ID: newID(), Began: time.Now(), Remote: r.RemoteAddr}
	x.connection = connectionOf(r.Context())
	defer x.finish()
	if err := x.serve(); err != nil {
		x.fail(err)
	}
}

// finish runs when the answer is out or never will be, also after a panic of a handler.
func (x *exchange) finish() {
	p := recover()
	if p != nil && p != http.ErrAbortHandler {
		x.h.cfg.Logger.Error("panic in an operation", "request", x.access.ID, "target", x.access.Target, "panic", p,
			"stack", string(debug.Stack()))
		if !x.wrote {
			x.fail(&Error{Code: codeInternalFailure, Message: internalFailure, Status: http.StatusInternalServerError})
			p = nil
		} else {
			p = http.ErrAbortHandler // half an answer must not look whole
		}
	}
	x.release()
	x.access.Took = time.Since(x.access.Began)
	if x.h.cfg.Observe != nil {
		x.h.cfg.Observe(x.access)
	}
	if p != nil {
		panic(p)
	}
}

// serve takes a request its way up to the answer. What it returns is yet to be told to the client.
func (x *exchange) serve() error {
	x.set("X-Amzn-Requestid", x.access.ID)
	format, known := formatOf(x.r.Header.Get("Content-Type"))
	x.access.Format = format
	x.xml = !known && x.r.Method != http.MethodPost
	if err := x.h.checkHost(x.r.Host); err != nil {
		return err
	}
	if origin := x.r.Header.Get("Origin"); origin != "" {
		if err := x.h.checkOrigin(origin, x.r.Host); err != nil {
			return err
		}
		if x.r.Method == http.MethodOptions {
			x.preflight(origin)
			return nil
		}
		x.allowOrigin(origin)
		x.set("Access-Control-Expose-Headers", exposedHeaders)
	}
	x.set("X-Amz-Id-2", newExtendedID())
	if x.r.Method != http.MethodPost {
		x.xml = true
		return &Error{Code: codeAccessDenied, Status: http.StatusForbidden,
			Message: "Unable to determine service/operation name to be authorized"}
	}
	target := x.r.Header.Get("X-Amz-Target")
	op, found := x.h.operations[target]
	if !known || !found {
		return &Error{Code: codeUnknownOperation}
	}
	x.access.Target = target
	signature, err := parseSignature(x.r)
	if err != nil {
		return err
	}
	if err := x.readBody(); err != nil {
		return err
	}
	x.context = operationContext{x.r.Context(), x}
	ctx := &x.context
	x.request = Request{Operation: op.name, ID: x.access.ID, Format: format, Body: x.body, Signature: signature, HTTP: x.r}
	if verify := x.h.cfg.Verify; verify != nil {
		if err := verify(ctx, &x.request); err != nil {
			return err
		}
	}
	out, err := op.answer(ctx, &x.request)
	if err != nil {
		return err
	}
	if stream, ok := out.(*EventStream); ok {
		return x.stream(stream)
	}
	x.write(out)
	return nil
}

// set sets a header of the answer; key is in canonical form. Most answers need no more allocations for it.
func (x *exchange) set(key, v string) {
	if x.used == len(x.values) {
		x.w.Header()[key] = []string{v}
		return
	}
	x.values[x.used] = v
	x.used++
	x.w.Header()[key] = x.values[x.used-1 : x.used : x.used]
}

// operationContext is what an operation gets: it knows the exchange, at no allocation.
type operationContext struct {
	context.Context
	exchange *exchange
}

type exchangeKey struct{}

func (c *operationContext) Value(key any) any {
	if key == (exchangeKey{}) {
		return c.exchange
	}
	return c.Context.Value(key)
}

// Reserve takes n bytes of the memory for bodies until the request of an operation's context has been answered, or its event
// stream begins. Operations with large answers call it before they build one. If the memory is in use it waits a little; the
// error tells the client to try again. A context of no request reserves nothing.
func Reserve(ctx context.Context, n int64) error {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil
	}
	return x.reserve(n)
}

// formatOf is the format that a content type names. The other one for errors, if it names none, is the service's: CBOR.
func formatOf(contentType string) (Format, bool) {
	contentType, _, _ = strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(contentType)) {
	case typeJSON:
		return JSON, true
	case typeCBOR:
		return CBOR, true
	}
	return CBOR, false
}

// failure is what the client gets of an error. The second result is whether it is news for the log.
func failure(err error) (*Error, bool) {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e, e.Status >= http.StatusInternalServerError && e.Err != nil
	case fault.ClassOf(err) == fault.Unavailable:
		return &Error{Code: codeUnavailable, Message: "Service is unavailable. Please try again.",
			Status: http.StatusServiceUnavailable, Err: err}, true
	}
	return &Error{Code: codeInternalFailure, Message: internalFailure, Status: http.StatusInternalServerError, Err: err}, true
}

// log notes an error that the client is told little about.
func (x *exchange) log(err error) {
	if x.r.Context().Err() != nil {
		return // it came of the client's leaving
	}
	x.h.complaints.Log(x.h.cfg.Logger, slog.LevelError, x.access.Target, "an operation failed", cause(err),
		slog.String("request", x.access.ID), slog.String("target", x.access.Target))
}

// cause is the reason of an error for the log: with what the client does not see.
func cause(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err
	}
	return err
}
