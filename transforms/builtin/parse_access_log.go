package builtin

import (
	"bytes"

	"github.com/leatstream/leat/core/record"
)

// accessLog is a line of a web server's access log: the formats common and combined of Apache
// (https://httpd.apache.org/docs/2.4/logs.html#accesslog), and combined and main of nginx.
type accessLog struct {
	vhost     bool // %v:%p comes first
	identity  bool // nginx has a dash there
	referrer  bool // and user agent: combined
	forwarded bool // and then $http_x_forwarded_for
}

func (f accessLog) parse(p *parser, text []byte, _ *record.Record) failure {
	c := parseCursor{text: text}
	if f.vhost {
		p.put("vhost", c.word("the virtual host"))
	}
	p.put("host", c.word("the client's address"))
	if identity := c.word("the identity"); f.identity {
		p.put("identity", identity)
	}
	p.put("user", c.until(" [", "the user, and behind it the time in brackets")) // users may have spaces
	p.putTime(&c, c.until("] ", "the end of the time"), appendApacheTime)
	request := c.quoted("the request in quotes")
	p.put("request", p.unescaped(request))
	p.requestLine(request)
	if status := c.word("the status"); c.missing == "" && (len(status) != 3 && string(status) != "-" || !p.putInteger("status", status)) {
		c.at -= len(status)
		c.miss("a status of three digits")
	}
	if size := c.word("the size"); c.missing == "" && !p.putInteger("size", size) {
		c.miss("a size in bytes")
	}
	if f.referrer {
		p.put("referrer", p.unescaped(c.quoted("the referrer in quotes")))
		p.put("agent", p.unescaped(c.quoted("the user agent in quotes")))
	}
	if f.forwarded {
		p.put("forwarded_for", p.unescaped(c.quoted("the X-Forwarded-For header in quotes")))
	}
	if c.missing == "" && len(bytes.TrimSpace(c.rest())) > 0 {
		c.miss("the end of the line")
	}
	return c.failure()
}

// requestLine writes the three parts of a request such as GET / HTTP/1.1; they are null if it is another thing.
func (p *parser) requestLine(request []byte) {
	var method, path, protocol []byte
	first, last := bytes.IndexByte(request, ' '), bytes.LastIndexByte(request, ' ')
	if 0 < first && first < last && last+1 < len(request) && bytes.HasPrefix(request[last+1:], []byte("HTTP/")) {
		method, path, protocol = request[:first], request[first+1:last], request[last+1:]
	}
	p.put("method", p.unescaped(method))
	p.put("path", p.unescaped(path))
	p.put("protocol", p.unescaped(protocol))
}

// putTime writes a time, which form writes as RFC 3339, under the name timestamp.
func (p *parser) putTime(c *parseCursor, text []byte, form func(dst, text []byte) ([]byte, bool)) {
	p.names.add("timestamp")
	if c.missing != "" {
		return
	}
	var ok bool
	if p.number, ok = form(p.number[:0], text); !ok {
		c.at -= min(len(text)+2, c.at)
		c.miss("a valid time")
		return
	}
	p.object.key("timestamp")
	p.object.text(p.number)
}
