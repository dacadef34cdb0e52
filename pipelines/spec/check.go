package spec

import (
	"errors"
	"slices"
	"time"
	_ "time/tzdata" // time_zone works where the system has no zone files

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/pipelines/spec/jq"
)

// check finds what tags cannot say: rules about more than one value. It is called on what could be decoded, so zero values,
// whose error is already reported, pass.
func (p *Pipeline) check() []*fault.Error {
	c := &checker{}
	c.names(p)
	for i := range p.Source.Files {
		c.lineKey(&p.Source.Files[i].Key)
	}
	if r := &p.Source.Stream.Retention; r.Age == 0 && r.Hold == 0 {
		r.Hold = DefaultHold
	}
	if l := p.Source.Stream.Limits; l != nil {
		c.limits(l)
	}
	for i := range p.Transforms {
		c.transform(&p.Transforms[i])
		c.shadow(&p.Transforms[i])
	}
	for i := range p.Sinks {
		c.sink(&p.Sinks[i], len(p.Transforms) > 0)
	}
	c.routes(p)
	if p.DeadLetters != nil {
		c.deadLetters(p.DeadLetters)
	}
	for i := range p.Tests {
		c.test(p, &p.Tests[i])
	}
	return c.errs
}

// checker collects errors.
type checker struct{ errs []*fault.Error }

func (c *checker) fail(place, code, format string, args ...any) *fault.Error {
	e := fault.New(fault.Permanent, code, format, args...).At(place)
	c.errs = append(c.errs, e)
	return e
}

// fault takes an error of another package that does not know its place.
func (c *checker) fault(err error, place string) {
	var e *fault.Error
	if errors.As(err, &e) {
		copied := *e
		c.errs = append(c.errs, copied.At(place))
	}
}

// names sees that no two stages of a pipeline have the same name: checkpoints, metrics and --set go by it.
func (c *checker) names(p *Pipeline) {
	seen := map[string]string{}
	one := func(what, name, place string) {
		if first, ok := seen[what+name]; ok && name != "" {
			c.fail(place, "spec.duplicate_name", "the %s %q is there twice; the other is at %s", what, name, first)
			return
		}
		seen[what+name] = place
	}
	for i := range p.Transforms {
		one("transform", p.Transforms[i].Name, p.Transforms[i].PlaceOf("name"))
	}
	for i := range p.Sinks {
		one("sink", p.Sinks[i].Name, p.Sinks[i].PlaceOf("name"))
	}
	for i := range p.Tests {
		t := &p.Tests[i]
		one("test", t.Name, t.PlaceOf("name"))
		for j := range t.MaxFuel {
			f := &t.MaxFuel[j]
			if !slices.ContainsFunc(p.Transforms, func(t Transform) bool { return t.Name == f.Stage && t.Wasm != nil }) {
				c.fail(f.PlaceOf("stage"), "spec.unknown_stage", "there is no stage %q that runs a module", f.Stage)
			}
		}
	}
}

// limits makes numbers of a kind of limits.
func (c *checker) limits(l *ShardLimits) {
	if l.Has("kind") && (l.Has("bytes_per_second") || l.Has("records_per_second")) {
		c.fail(l.PlaceOf("kind"), "spec.exclusive_keys", "limits have a kind and numbers; only one of them can be there")
	}
	if l.Kind == LimitsOff {
		l.BytesPerSecond, l.RecordsPerSecond = 0, 0
	}
}

func (c *checker) transform(t *Transform) {
	if t.Enrich != nil && t.Enrich.S3 != nil {
		c.credentials(t.Enrich.S3.Credentials)
	}
	key, native := t.Builtin()
	if t.Lambda != nil {
		key = "lambda"
	}
	if (native != nil || t.Lambda != nil) && t.Has("config") {
		c.fail(t.PlaceOf("config"), "spec.exclusive_keys", "config is for WebAssembly modules").Hint = "the settings of " + key + " stand below its own key"
	}
}

// sink checks one sink; transforms says whether the pipeline has any.
func (c *checker) sink(s *Sink, transforms bool) {
	c.timeZone(s.TimeZone, s.PlaceOf("time_zone"))
	if len(s.Prefix) > 0 || len(s.Partition) > 0 {
		tmpl, err := s.CompilePrefix()
		c.fault(err, s.PlaceOf("prefix"))
		if err == nil && tmpl.UsesLambdaKeys() && !transforms {
			c.fail(s.PlaceOf("prefix"), "prefix.unknown_key", "the prefix has partitionKeyFromLambda, but there is no transform that could give the key").Hint = "use partition and partitionKeyFromQuery for values in the data"
		}
	}
	for i := range s.Partition {
		_, err := s.Partition[i : i+1].Compile()
		c.fault(err, s.Partition[i].Place())
	}
	c.compression(s.Compression, s.CompressionLevel, s.PlaceOf("compression_level"))
	c.retry(&s.Retry)
	if s.S3 != nil {
		c.s3(s.S3)
	}
	if s.Isolation == "process" {
		c.fail(s.PlaceOf("isolation"), "spec.not_available", "isolation: process is not available in this version").Hint = "leave it out: the sink runs in this process"
	}
}

func (c *checker) deadLetters(d *DeadLetters) {
	_, err := d.CompilePrefix()
	c.fault(err, d.PlaceOf("prefix"))
	c.timeZone(d.TimeZone, d.PlaceOf("time_zone"))
	c.compression(d.Compression, d.CompressionLevel, d.PlaceOf("compression_level"))
	if d.S3 != nil {
		c.s3(d.S3)
	}
}

func (c *checker) lineKey(k *LineKey) {
	if k.JSON == "" {
		return
	}
	if _, err := jq.ParsePath(k.JSON); err != nil {
		c.fail(k.PlaceOf("json"), "spec.bad_value", "json: %s is not a path", quoteShort(k.JSON)).Hint = "write keys and indices from 0, such as .user.id or .tags[0]"
	}
}

func (c *checker) timeZone(name, place string) {
	if name == "Local" {
		c.fail(place, "spec.bad_value", "time_zone cannot be Local: keys would depend on the machine").Hint = "write a name such as UTC or Europe/Vienna"
	} else if _, err := time.LoadLocation(name); err != nil {
		c.fail(place, "spec.bad_value", "time_zone: %s is not a known time zone", quoteShort(name)).Hint = "write a name such as UTC or Europe/Vienna"
	}
}

func (c *checker) compression(name string, level int, place string) {
	if level != 0 && (name == "none" || name == "snappy") {
		c.fail(place, "spec.bad_value", "compression_level has no meaning with compression: %s", name).Hint = "remove it; gzip and zip have levels"
	}
}

func (c *checker) retry(r *Retry) {
	if r.Initial > r.Max {
		c.fail(r.PlaceOf("initial"), "spec.bad_value", "initial %v is longer than max %v", r.Initial, r.Max)
	}
}

func (c *checker) s3(s *S3) {
	if s.Has("part_size") && s.PartSize > s.MultipartThreshold {
		c.fail(s.PlaceOf("part_size"), "spec.bad_value", "part_size %v is larger than multipart_threshold %v", s.PartSize, s.MultipartThreshold)
	} else {
		s.PartSize = min(s.PartSize, s.MultipartThreshold)
	}
	c.credentials(s.Credentials)
}

// credentials checks the keys of a store, which may be nil.
func (c *checker) credentials(cr *Credentials) {
	if cr == nil {
		return
	}
	inline := !cr.AccessKeyID.IsZero() || !cr.SecretAccessKey.IsZero()
	switch {
	case cr.Has("file") && (inline || cr.Has("session_token")):
		c.fail(cr.PlaceOf("file"), "spec.exclusive_keys", "credentials has a file and keys; only one of them can be there")
	case cr.AccessKeyID.IsZero() != cr.SecretAccessKey.IsZero() && cr.Has("access_key_id") != cr.Has("secret_access_key"):
		c.fail(cr.Place(), "spec.missing_key", "credentials needs both access_key_id and secret_access_key")
	case !inline && !cr.Has("file") && !cr.Has("profile") && !cr.Has("access_key_id") && !cr.Has("secret_access_key"):
		c.fail(cr.Place(), "spec.missing_key", "credentials needs access_key_id and secret_access_key, or file").Hint = "leave credentials out to use the environment"
	case inline && cr.Has("profile"):
		c.fail(cr.PlaceOf("profile"), "spec.exclusive_keys", "profile belongs to a credentials file, not to keys")
	}
}

func (c *checker) test(p *Pipeline, t *Test) {
	sinks := make([]string, len(p.Sinks))
	for i := range p.Sinks {
		sinks[i] = p.Sinks[i].Name
	}
	if y := t.Clock.Year(); y < 1970 || y > 2261 {
		c.fail(t.PlaceOf("clock"), "spec.bad_value", "clock: the year must be 1970 to 2261")
	}
	for i := range t.Input {
		if t.Input[i].Has("prefix") {
			c.fail(t.Input[i].PlaceOf("prefix"), "spec.bad_value", "prefix belongs to an output, not to an input")
		}
	}
	for i := range t.Output {
		if o := &t.Output[i]; !slices.Contains(sinks, o.Sink) {
			c.fail(o.Place(), "spec.unknown_sink", "no sink is named %s", quoteShort(o.Sink)).Hint = suggest(o.Sink, sinks)
		}
	}
	for i := range t.Dead {
		if d := &t.Dead[i]; d.Input != nil && *d.Input >= len(t.Input) {
			c.fail(d.PlaceOf("input"), "spec.bad_value", "there is no input %d: the test has %d and the first is 0", *d.Input, len(t.Input))
		}
	}
}
