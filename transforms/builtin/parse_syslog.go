package builtin

import (
	"bytes"
	"time"

	"github.com/leatstream/leat/core/record"
)

// syslogFormat is a syslog message by RFC 5424, or as RFC 3164 and the files of syslog daemons have it.
type syslogFormat struct {
	kind string // auto, rfc3164 or rfc5424
	zone *time.Location
}

// Names of facilities and severities by their numbers (RFC 5424, section 6.2.1; the names are those of syslog.h).
var (
	facilities = []string{
		"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
		"ntp", "security", "console", "solaris-cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
	}
	severities = []string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}
)

func (f syslogFormat) parse(p *parser, text []byte, r *record.Record) failure {
	c := parseCursor{text: text}
	there := len(text) > 0 && text[0] == '<'
	p.priority(&c, there)
	modern := f.kind == "rfc5424"
	if f.kind == "auto" {
		modern = there && bytes.HasPrefix(c.rest(), []byte("1 "))
	}
	if modern && !there {
		c.miss("the priority in angle brackets")
	}
	if modern {
		f.modern(p, &c)
	} else {
		f.old(p, &c, r)
	}
	return c.failure()
}

// priority takes <34>: eight times the facility and the severity.
func (p *parser) priority(c *parseCursor, there bool) {
	var facility, severity []byte
	if there {
		n := bytes.IndexByte(c.text[:min(len(c.text), 5)], '>')
		if n < 2 || n > 2 && c.text[1] == '0' {
			c.miss("a priority of 0 to 191 in angle brackets")
			return
		}
		v := digitsAt(c.text, 1, n-1)
		if v < 0 || v > 191 {
			c.miss("a priority of 0 to 191 in angle brackets")
			return
		}
		facility, severity = []byte(facilities[v/8]), []byte(severities[v%8])
		c.at = n + 1
	}
	p.put("facility", facility)
	p.put("severity", severity)
}

func (f syslogFormat) modern(p *parser, c *parseCursor) {
	c.skip("1 ", "version 1")
	at := c.at
	switch stamp := c.word("the time"); {
	case c.missing != "":
	case string(stamp) == "-":
		p.put("timestamp", nil)
	case !isRFC3339(stamp):
		c.at = at
		c.miss("a time as RFC 3339 has it")
	default:
		p.put("timestamp", stamp)
	}
	p.put("hostname", c.word("the host's name"))
	p.put("appname", c.word("the program's name"))
	p.put("procid", c.word("the process"))
	p.put("msgid", c.word("the kind of message"))
	p.structuredData(c)
	message := c.rest()
	if c.missing == "" && len(message) > 0 {
		if message[0] != ' ' {
			c.miss("a space before the message")
			return
		}
		message = bytes.TrimPrefix(message[1:], []byte("\ufeff"))
	}
	p.names.add("message")
	if c.missing == "" {
		p.object.key("message")
		p.object.text(message)
	}
}

// isRFC3339 reports whether text is a time as RFC 5424 takes it.
func isRFC3339(text []byte) bool {
	_, ok := readISO(text, time.UTC, true)
	return ok && text[10] == 'T' && len(text) <= len("2026-11-30T00:00:00.000000000+00:00")
}

// maxStructuredData bounds the elements, and the parameters of each, of one message.
const maxStructuredData = 100

// structuredData takes a dash, or elements such as [id name="value"]. Of elements with the same id, and parameters with the same
// name, the first counts.
func (p *parser) structuredData(c *parseCursor) {
	p.names.add("structured_data")
	if c.missing != "" {
		return
	}
	if bytes.HasPrefix(c.rest(), []byte("-")) {
		c.at++
		p.object.key("structured_data")
		p.object.raw("null")
		return
	}
	p.object.key("structured_data")
	p.object.open()
	p.ids.reset()
	for n := 0; c.at < len(c.text) && c.text[c.at] == '['; n++ {
		c.at++
		id := sdName(c, " ]")
		if id == nil || n == maxStructuredData {
			c.miss("the name of an element of structured data")
			return
		}
		again := p.ids.has(id)
		p.ids.add(record.StringOf(id))
		if !again {
			p.object.anyKey(record.StringOf(id))
			p.object.open()
		}
		p.params.reset()
		for m := 0; c.at < len(c.text) && c.text[c.at] == ' '; m++ {
			c.at++
			name := sdName(c, "=")
			c.skip("=", "an equals sign")
			inner, size := cutQuoted(c.rest(), '"')
			if name == nil || size == 0 || m == maxStructuredData {
				c.miss("a parameter of structured data")
				return
			}
			c.at += size
			if !again && !p.params.has(name) {
				p.object.anyKey(record.StringOf(name))
				p.object.text(p.sdValue(inner))
			}
			p.params.add(record.StringOf(name))
		}
		c.skip("]", "the end of an element of structured data")
		if c.missing != "" {
			return
		}
		if !again {
			p.object.shut()
		}
	}
	if p.ids.len() == 0 {
		c.miss("structured data or a dash")
		return
	}
	p.object.shut()
}

// sdName takes a name of up to 32 visible characters, which one of ends follows.
func sdName(c *parseCursor, ends string) []byte {
	rest := c.rest()
	n := 0
	for n < len(rest) && n <= 32 && rest[n] > ' ' && rest[n] < 0x7f && !bytes.ContainsRune([]byte(`="]`), rune(rest[n])) {
		n++
	}
	if n == 0 || n > 32 || n == len(rest) || !bytes.ContainsRune([]byte(ends), rune(rest[n])) {
		return nil
	}
	c.at += n
	return rest[:n]
}

// sdValue returns a parameter's value without its escapes: \" \\ and \]; a backslash before anything else stands for itself.
func (p *parser) sdValue(text []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	p.text = reuse(p.text)
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && bytes.IndexByte([]byte(`"\]`), text[i+1]) >= 0 {
			i++
		}
		p.text = append(p.text, text[i])
	}
	return p.text
}

// old takes what comes behind the priority by RFC 3164, with the time in its form or in that of RFC 3339, as newer daemons write it.
func (f syslogFormat) old(p *parser, c *parseCursor, r *record.Record) {
	if c.missing != "" {
		return
	}
	p.names.add("timestamp")
	rest := c.rest()
	stamp, _, _ := bytes.Cut(rest, []byte{' '})
	var ok bool
	switch {
	case len(rest) >= 16 && rest[3] == ' ' && rest[6] == ' ' && rest[15] == ' ':
		if p.number, ok = f.appendTime(p.number[:0], rest[:15], r); ok {
			p.object.key("timestamp")
			p.object.text(p.number)
			c.at += 16
		}
	case isRFC3339(stamp) && len(rest) > len(stamp):
		p.object.key("timestamp")
		p.object.text(stamp)
		c.at += len(stamp) + 1
		ok = true
	}
	if !ok {
		c.miss("a time such as Oct 11 22:14:15")
		return
	}
	// Programs that send without a daemon leave the host out: then the tag comes at once.
	var host []byte
	if word, _, found := bytes.Cut(c.rest(), []byte{' '}); found && !bytes.HasSuffix(word, []byte{':'}) {
		host = word
		c.at += len(word) + 1
	}
	p.put("hostname", host)
	tag, pid, message := cutTag(c.rest())
	p.put("appname", tag)
	p.put("procid", pid)
	p.names.add("message")
	p.object.key("message")
	p.object.text(message)
}

// cutTag cuts sshd[123]: or kernel: off a message; without either, tag is nil.
func cutTag(text []byte) (tag, pid, message []byte) {
	const most = 128 // RFC 3164 has 32, and programs have more
	n := 0
	for n < len(text) && n < most && text[n] > ' ' && text[n] != '[' && text[n] != ':' {
		n++
	}
	rest := text[n:]
	if len(rest) > 0 && rest[0] == '[' {
		end := bytes.IndexByte(rest[:min(len(rest), most)], ']')
		if end < 0 {
			return nil, nil, text
		}
		pid, rest = rest[1:end], rest[end+1:]
	}
	if n == 0 || len(rest) == 0 || rest[0] != ':' {
		return nil, nil, text
	}
	return text[:n], pid, bytes.TrimPrefix(rest[1:], []byte{' '})
}

// appendTime writes a time such as Oct 11 22:14:15. Its year is the one that brings it closest to the record's arrival.
func (f syslogFormat) appendTime(dst, text []byte, r *record.Record) ([]byte, bool) {
	day := text[4:6]
	if day[0] == ' ' {
		day = day[1:]
	}
	c := clock{month: monthOf(text[:3]), day: digitsAt(day, 0, len(day))}
	if !c.hms(text[7:]) {
		return dst, false
	}
	arrived := r.ArrivedAt().In(f.zone)
	best, found := clock{}, false
	var distance time.Duration
	for year := arrived.Year() - 1; year <= arrived.Year()+1; year++ {
		c.year = year
		if !c.valid() { // 29 February
			continue
		}
		d := time.Date(year, time.Month(c.month), c.day, c.hour, c.minute, c.second, 0, f.zone).Sub(arrived).Abs()
		if !found || d < distance {
			best, found, distance = c, true, d
		}
	}
	if !found {
		return dst, false
	}
	return best.appendIn(dst, 0, f.zone), true
}
