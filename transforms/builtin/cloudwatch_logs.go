package builtin

import (
	"slices"

	"github.com/leatstream/leat/core/jsonpath"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/setting"
)

// CloudWatchLogs says what becomes of the envelopes in which CloudWatch Logs sends log events to its subscribers.
type CloudWatchLogs struct {
	setting.Node
	Extract string   `yaml:"extract" default:"none" enum:"none|event|message" doc:"none leaves the envelope as it is; event makes a record of each log event's JSON; message makes a record of each log event's text, as Firehose's DataMessageExtraction does."`
	Keep    []string `yaml:"keep" items:"0..16" doc:"Fields of the envelope that each event gets, after its own: owner, logGroup, logStream, subscriptionFilters, messageType. With extract: event."`
}

// envelopeFields are the fields of the envelope that events may keep, from "Subscription filters with Kinesis Data Streams" in the
// CloudWatch Logs user guide: {messageType, owner, logGroup, logStream, subscriptionFilters, logEvents: [{id, timestamp, message}]}.
var envelopeFields = []string{"messageType", "owner", "logGroup", "logStream", "subscriptionFilters"}

// envelopePaths are those that a scan of an envelope looks for: envelopeFields, and the events.
var envelopePaths = func() *jsonpath.Set {
	var paths []jsonpath.Path
	for _, name := range append(slices.Clone(envelopeFields), "logEvents") {
		paths = append(paths, jsonpath.Path{jsonpath.Key(name)})
	}
	return jsonpath.NewSet(paths...)
}()

var messagePath = jsonpath.NewSet(jsonpath.Path{jsonpath.Key("message")})

type cloudWatchLogs struct {
	extract string
	keep    []int // indices in envelopeFields
}

type logsState struct{ envelope, event jsonpath.Scan }

func (c *CloudWatchLogs) open() (*cloudWatchLogs, error) {
	l := &cloudWatchLogs{extract: c.Extract}
	for _, name := range c.Keep {
		i := slices.Index(envelopeFields, name)
		if i < 0 {
			return nil, invalid(&c.Node, "keep", "decompress.bad_field", "the envelope of CloudWatch Logs has no field %q to keep", name).
				WithHint("it has owner, logGroup, logStream, subscriptionFilters and messageType")
		}
		l.keep = append(l.keep, i)
	}
	if len(l.keep) > 0 && c.Extract != "event" {
		return nil, invalid(&c.Node, "keep", "decompress.keep_without_event", "keep has no meaning with extract: %s", c.Extract).
			WithHint("write extract: event")
	}
	return l, nil
}

// apply writes what becomes of the envelope that r is when it is unpacked.
func (l *cloudWatchLogs) apply(s *logsState, r *record.Record, data []byte, w *writer) {
	defer s.envelope.Forget()
	defer s.event.Forget()
	const code = "decompress.not_cloudwatch_logs"
	if at, ok := s.envelope.Run(envelopePaths, data); !ok {
		w.fail(code, "the record is not the JSON of CloudWatch Logs: byte %d does not belong there", at)
		return
	}
	kind, events := s.envelope.Values[0], s.envelope.Values[len(envelopeFields)]
	switch {
	case kind.Kind == jsonpath.Text && string(kind.Text()) == "CONTROL_MESSAGE": // CloudWatch Logs asks whether anybody listens
		w.drop()
		return
	case kind.Kind != jsonpath.Text || string(kind.Text()) != "DATA_MESSAGE":
		w.fail(code, "the record has no messageType of CloudWatch Logs")
		return
	case l.extract == "none":
		w.data(r, data)
		return
	case events.Kind != jsonpath.Composite || events.Raw[0] != '[':
		w.fail(code, "the record has no logEvents")
		return
	}
	n := 0
	jsonpath.Items(events.Raw, func(event []byte) bool {
		if n++; n > maxOutputs {
			w.fail("decompress.too_large", "the record has more than %d log events", maxOutputs)
			return false
		}
		if _, ok := s.event.Run(messagePath, event); !ok || event[0] != '{' || s.event.Values[0].Kind != jsonpath.Text {
			w.fail(code, "log event %d has no message", n)
			return false
		}
		if l.extract == "message" {
			w.data(r, s.event.Values[0].Text())
		} else {
			w.data(r, l.event(s, event, w))
		}
		return !w.said
	})
}

// event returns the JSON of an event with the fields that it keeps.
func (l *cloudWatchLogs) event(s *logsState, event []byte, w *writer) []byte {
	out := append(w.scratch[:0], event[:len(event)-1]...)
	for _, i := range l.keep {
		if v := s.envelope.Values[i]; v.Raw != nil {
			out = append(append(append(append(out, `,"`...), envelopeFields[i]...), `":`...), v.Raw...)
		}
	}
	out = append(out, '}')
	w.scratch = out
	return out
}

// cloudWatchCode describes the code of records that are no envelopes.
var cloudWatchCode = Code{"decompress.not_cloudwatch_logs", "With cloudwatch_logs: the record is not an envelope of CloudWatch Logs."}
