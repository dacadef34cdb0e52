package builtin

// Doc implements Config.
func (c *Parse) Doc() Doc {
	return Doc{
		Summary: "Makes JSON objects of log lines: regular expressions, Apache, nginx, syslog, key=value.",
		Text: "A line break at the end of the record is ignored. Bytes that are not UTF-8, as logs have them, become U+FFFD. What a log writes as a dash is null. " +
			"Times become RFC 3339.\n\n" +
			"| format | fields |\n|---|---|\n" +
			"| `regex` | the named groups; null if the match is without a group |\n" +
			"| `apache: common` | host, identity, user, timestamp, request, method, path, protocol, status, size |\n" +
			"| `apache: combined` | those, referrer, agent; `vhost_combined` has vhost before them |\n" +
			"| `apache: error` | timestamp, module, severity, pid, thread, client, message |\n" +
			"| `nginx: combined` | as Apache's, without identity; `main` has forwarded_for behind them |\n" +
			"| `nginx: error` | timestamp, severity, pid, tid, connection, message, client, server, request, subrequest, upstream, host, referrer |\n" +
			"| `syslog` | facility, severity, timestamp, hostname, appname, procid, message; with RFC 5424 also msgid and structured_data |\n" +
			"| `key_value` | the keys; of the same key twice the first counts |\n\n" +
			"A time of RFC 3164 has no year: it gets the one that brings it closest to the record's arrival. Regular expressions are those of RE2, whose time " +
			"grows with the text alone; they match anywhere in the text unless they begin with ^ and end with $.",
		Codes: []Code{
			{"parse.no_match", "The text is not in the format; the reason says what is missing at which byte."},
			{"parse.bad_value", "A field is not of the type that `types` gives it."},
			{"parse.too_many_fields", "The text has more than 1000 pairs."},
			{"parse.not_json", "With `from`: the record is not JSON."},
			{"parse.not_text", "With `from`: the field is missing, or is not text."},
			{"parse.no_object", "With `into`: what should hold the field is not an object."},
		},
		Examples: []Example{
			{
				Title: "A regular expression", Config: "regex: '^(?P<level>[A-Z]+) (?P<text>.*?)(?: took (?P<ms>\\d+) ms)?$'\ntypes: { ms: integer }\n",
				Input:  []string{"INFO saved took 12 ms", "WARN disk is slow", "no level"},
				Output: []string{`{"level":"INFO","text":"saved","ms":12}`, `{"level":"WARN","text":"disk is slow","ms":null}`},
				Failed: []string{"parse.no_match"},
			},
			{
				Title: "Access logs of Apache", Config: `{ apache: combined }`,
				Input: []string{`127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en]"`},
				Output: []string{`{"host":"127.0.0.1","identity":null,"user":"frank","timestamp":"2000-10-10T13:55:36-07:00","request":"GET /apache_pb.gif HTTP/1.0",` +
					`"method":"GET","path":"/apache_pb.gif","protocol":"HTTP/1.0","status":200,"size":2326,"referrer":"http://www.example.com/start.html","agent":"Mozilla/4.08 [en]"}`},
			},
			{
				Title: "The error log of nginx, in Vienna's time", Config: `{ nginx: error, time_zone: Europe/Vienna }`,
				Input: []string{`2026/04/01 13:02:31 [error] 31#31: *1 open() "/usr/share/nginx/html/x" failed (2: No such file or directory), client: 172.17.0.1, server: localhost, request: "GET /x HTTP/1.1", host: "localhost:8081"`},
				Output: []string{`{"timestamp":"2026-04-01T13:02:31+02:00","severity":"error","pid":31,"tid":31,"connection":1,"message":"open() \"/usr/share/nginx/html/x\" failed (2: No such file or directory)",` +
					`"client":"172.17.0.1","server":"localhost","request":"GET /x HTTP/1.1","subrequest":null,"upstream":null,"host":"localhost:8081","referrer":null}`},
			},
			{
				Title: "Syslog of either format", Config: `{ syslog: auto }`,
				Input: []string{
					`<165>1 2026-10-11T22:14:15.003Z mymachine.example.com evntslog 12 ID47 [exampleSDID@32473 iut="3" eventSource="Application"] An application event`,
					`<34>Dec 31 22:14:15 mymachine su[230]: 'su root' failed on /dev/pts/8`,
				},
				Output: []string{
					`{"facility":"local4","severity":"notice","timestamp":"2026-10-11T22:14:15.003Z","hostname":"mymachine.example.com","appname":"evntslog","procid":"12","msgid":"ID47","structured_data":{"exampleSDID@32473":{"iut":"3","eventSource":"Application"}},"message":"An application event"}`,
					`{"facility":"auth","severity":"crit","timestamp":"1999-12-31T22:14:15Z","hostname":"mymachine","appname":"su","procid":"230","message":"'su root' failed on /dev/pts/8"}`,
				},
			},
			{
				Title: "Logfmt in a field of JSON, added to the record", Config: "key_value: {}\nfrom: .message\ninto: .\ntypes: { took: number }\n",
				Input:  []string{`{"host":"a","message":"level=info msg=\"it works\" took=0.25 cached"}`, `{"host":"a","message":7}`, `{"host":"a","message":"took=long"}`},
				Output: []string{`{"host":"a","message":"level=info msg=\"it works\" took=0.25 cached","level":"info","msg":"it works","took":0.25,"cached":true}`},
				Failed: []string{"parse.not_text", "parse.bad_value"},
			},
			{
				Title: "Other pairs", Config: "key_value: { field_delimiter: \",\", key_value_delimiter: \":\", bare_keys: ignore }\n",
				Input:  []string{`a: 1, b: "x, y", c`},
				Output: []string{`{"a":"1","b":"x, y"}`},
			},
		},
	}
}
