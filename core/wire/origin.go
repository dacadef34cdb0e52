package wire

import (
	"net"
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

// hostname is a host without its port and the dot of the root.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
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
		Message: "This server is not configured to be reached as " + strings.ToValidUTF8(name, "?") + ": allow this host name to use it."}
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
	return &Error{Code: codeAccessDenied, Status: http.StatusForbidden, Message: "This server does not allow requests of web pages from this origin."}
}

func allowOrigin(header http.Header, origin string) {
	header["Access-Control-Allow-Origin"] = []string{origin}
	header["Vary"] = []string{"Origin"}
}

// preflight answers a browser that asks whether a page may call.
func (x *exchange) preflight(origin string) {
	header := x.w.Header()
	allowOrigin(header, origin)
	if asked := x.r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		header["Access-Control-Allow-Headers"] = []string{asked}
	}
	if asked := x.r.Header.Get("Access-Control-Request-Method"); asked != "" {
		header["Access-Control-Allow-Methods"] = []string{asked}
	}
	header["Access-Control-Max-Age"] = []string{preflightSeconds}
	x.send(http.StatusOK, nil)
}
