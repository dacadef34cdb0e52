package builtin

import (
	"bytes"
	"time"

	"github.com/leatstream/leat/core/record"
)

// apacheErrorLog is a line of Apache's error log, in the format of version 2.4 or of older ones
// (https://httpd.apache.org/docs/2.4/logs.html#errorlog).
type apacheErrorLog struct{ zone *time.Location }

func (f apacheErrorLog) parse(p *parser, text []byte, _ *record.Record) failure {
	c := parseCursor{text: text}
	c.skip("[", "the time in brackets")
	p.putTime(&c, c.until("] ", "the end of the time"), appendApacheErrorTime(f.zone))
	c.skip("[", "the severity in brackets")
	severity := c.until("] ", "the end of the severity")
	var module, pid, thread, client []byte
	if before, after, ok := bytes.Cut(severity, []byte{':'}); ok {
		module, severity = before, after
	}
	p.put("module", module)
	p.put("severity", severity)
	if inside, ok := bracketed(&c, "[pid "); ok {
		pid, thread, _ = bytes.Cut(inside, []byte(":tid "))
	}
	if inside, ok := bracketed(&c, "[client "); ok {
		client = inside
	}
	if c.missing == "" && !p.putInteger("pid", orDash(pid)) {
		c.miss("a pid that is a number")
	}
	p.put("thread", thread)
	p.put("client", client)
	p.names.add("message")
	if c.missing == "" {
		p.object.key("message")
		p.object.text(p.unescaped(c.rest()))
	}
	return c.failure()
}

// bracketed takes [pid …] or the like with the space behind it, if it comes next.
func bracketed(c *parseCursor, open string) (inside []byte, ok bool) {
	rest := c.rest()
	if c.missing != "" || !bytes.HasPrefix(rest, []byte(open)) {
		return nil, false
	}
	end := bytes.IndexByte(rest, ']')
	if end < 0 {
		return nil, false
	}
	c.at += end + 1
	if c.at < len(c.text) && c.text[c.at] == ' ' {
		c.at++
	}
	return rest[len(open):end], true
}

func orDash(text []byte) []byte {
	if len(text) == 0 {
		return []byte{'-'}
	}
	return text
}

// nginxErrorLog is a line of nginx's error log: its time, severity, process and connection, the message, and what ngx_http_log_error
// puts behind that.
type nginxErrorLog struct{ zone *time.Location }

// nginxDetails are what may follow the message, in nginx's order: ", client: 10.0.0.1, server: localhost, request: "GET / HTTP/1.1"".
var nginxDetails = []struct{ lead, name string }{
	{", client: ", "client"}, {", server: ", "server"}, {", request: ", "request"}, {", subrequest: ", "subrequest"},
	{", upstream: ", "upstream"}, {", host: ", "host"}, {", referrer: ", "referrer"},
}

func (f nginxErrorLog) parse(p *parser, text []byte, _ *record.Record) failure {
	c := parseCursor{text: text}
	day := c.word("the date")
	hour := c.until(" [", "the time of day, and behind it the severity in brackets")
	if c.missing == "" {
		p.putTime(&c, text[:len(day)+1+len(hour)], appendNginxTime(f.zone))
	}
	p.put("severity", c.until("] ", "the end of the severity"))
	pid := c.until("#", "the process")
	tid := c.until(": ", "the thread")
	if c.missing == "" && (!p.putInteger("pid", orDash(pid)) || !p.putInteger("tid", orDash(tid))) {
		c.miss("a process and a thread that are numbers")
	}
	var connection []byte
	if bytes.HasPrefix(c.rest(), []byte("*")) {
		c.at++
		connection = c.word("the connection")
	}
	if c.missing == "" && !p.putInteger("connection", orDash(connection)) {
		c.miss("a connection that is a number")
	}
	if c.missing != "" {
		return c.failure()
	}
	rest := c.rest()
	message, details := rest, []byte(nil)
	if n := bytes.Index(rest, []byte(nginxDetails[0].lead)); n >= 0 {
		message, details = rest[:n], rest[n:]
	}
	p.names.add("message")
	p.object.key("message")
	p.object.text(message)
	for _, d := range nginxDetails {
		var value []byte
		if bytes.HasPrefix(details, []byte(d.lead)) {
			details = details[len(d.lead):]
			value, details = nginxDetail(details)
		}
		p.put(d.name, value)
	}
	if len(details) > 0 {
		c.at = len(text) - len(details)
		c.miss("a detail that nginx writes")
	}
	return c.failure()
}

// nginxDetail cuts a value off, which may be in quotes. nginx does not escape quotes in them, so that they end before a comma.
func nginxDetail(text []byte) (value, rest []byte) {
	if len(text) > 0 && text[0] == '"' {
		if n := bytes.Index(text[1:], []byte(`", `)); n >= 0 {
			return text[1 : n+1], text[n+2:]
		}
		if text[len(text)-1] == '"' && len(text) > 1 {
			return text[1 : len(text)-1], nil
		}
	}
	if n := bytes.Index(text, []byte(", ")); n >= 0 {
		return text[:n], text[n:]
	}
	return text, nil
}
