package wire

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// exposedHeaders are what a web page may read of an answer.
const exposedHeaders = "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date"

// preflightSeconds is how long a browser may keep the answer to a preflight request.
const preflightSeconds = "172800"

// hostname is a host without its port, the brackets of an IPv6 address and the dot of the root.
func hostname(host string) string {
	if address, ok := strings.CutPrefix(host, "["); ok {
		host, _, _ = strings.Cut(address, "]")
	} else if name, port, ok := strings.Cut(host, ":"); ok && !strings.Contains(port, ":") {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func loopbackName(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// checkHost refuses names that are not known to mean this server. An IP address is no name, so it cannot be rebound.
func (h *handler) checkHost(host string) error {
	name := hostname(host)
	if loopbackName(name) || slices.Contains(h.cfg.Hosts, name) || slices.Contains(h.cfg.Hosts, "*") {
		return nil
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return nil
	}
	return &Error{Code: codeAccessDenied, Status: http.StatusForbidden,
		Message: "This server is not configured to be reached as " + strings.ToValidUTF8(name, "?") +
			": start it with --host and this name to allow it."}
}

// checkOrigin refuses web pages that are neither on a loopback address, nor configured, nor of this server itself.
func (h *handler) checkOrigin(origin, host string) error {
	if slices.Contains(h.cfg.CORSOrigins, origin) || slices.Contains(h.cfg.CORSOrigins, "*") {
		return nil
	}
	if u, err := url.Parse(origin); err == nil && u.Host != "" {
		name := hostname(u.Host)
		ip, err := netip.ParseAddr(name)
		if loopbackName(name) || err == nil && ip.IsLoopback() || strings.EqualFold(u.Host, host) {
			return nil
		}
	}
	return &Error{Code: codeAccessDenied, Status: http.StatusForbidden,
		Message: "This server does not allow requests of web pages from this origin: start it with --cors-origin to allow them."}
}

func (x *exchange) allowOrigin(origin string) {
	x.set("Access-Control-Allow-Origin", origin)
	x.set("Vary", "Origin")
}

// preflight answers a browser that asks whether a page may call.
func (x *exchange) preflight(origin string) {
	x.allowOrigin(origin)
	if asked := x.r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		x.set("Access-Control-Allow-Headers", asked)
	}
	if asked := x.r.Header.Get("Access-Control-Request-Method"); asked != "" {
		x.set("Access-Control-Allow-Methods", asked)
	}
	x.set("Access-Control-Max-Age", preflightSeconds)
	x.send(http.StatusOK, nil)
}
