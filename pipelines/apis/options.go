package apis

import (
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
)

// Where the APIs are served by default.
const (
	DefaultAddr    = "127.0.0.1:4567"
	DefaultTLSAddr = "127.0.0.1:4569"
)

// Options configures a Server. The zero value of a field is its default where one is named.
type Options struct {
	// Addr is where clients are answered without TLS, as host:port; port 0 takes a free one. Empty: nowhere.
	Addr string
	// TLSAddr is where they are answered with TLS, if there is a certificate: from files, or a self-signed one that is kept
	// in the data directory.
	TLSAddr           string
	CertFile, KeyFile string
	SelfSigned        bool
	// Insecure allows addresses that other machines reach.
	Insecure bool
	// Hosts are names, without ports, under which clients may ask besides localhost and IP addresses. "*" is any.
	Hosts []string
	// CORSOrigins are origins of web pages that may ask besides those on loopback addresses. "*" is any.
	CORSOrigins []string

	// Limits turns on what the service allows of a shard, and how often it may be called.
	Limits bool
	// Account has 12 digits; by default it is 000000000000.
	Account string
	// Region is us-east-1 by default.
	Region string
	// ShardQuota is how many open shards the account may have; by default 20,000.
	ShardQuota int
	// Transition is how long the states CREATING, UPDATING and DELETING last at least.
	Transition time.Duration

	// Logger says what happens; nil: nobody does.
	Logger *slog.Logger
	// Metrics and Health may be nil.
	Metrics *observe.Metrics
	Health  *observe.Health
}

var (
	accountPattern = regexp.MustCompile(`^\d{12}$`)
	regionPattern  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d{1,2}$`)
)

// maxTransition is more than the service takes for any change.
const maxTransition = time.Hour

// check returns what is wrong with the options, as a permanent error.
func (o *Options) check() error {
	wrong := func(flag, hint, format string, args ...any) error {
		return fault.New(fault.Permanent, "apis."+flag, format, args...).WithHint("%s", hint)
	}
	switch {
	case o.Account != "" && !accountPattern.MatchString(o.Account):
		return wrong("account", "--account wants 12 digits, such as 000000000000", "%q is no account id", o.Account)
	case o.Region != "" && !regionPattern.MatchString(o.Region):
		return wrong("region", "--region wants a name such as us-east-1", "%q is no region", o.Region)
	case slices.ContainsFunc(o.Hosts, func(h string) bool { return h == "" || strings.ContainsAny(h, ":/ ") }):
		return wrong("host", "--host wants names without ports, such as streams.internal, or *", "%q has what is no host name", o.Hosts)
	case slices.ContainsFunc(o.CORSOrigins, notOrigin):
		return wrong("cors_origin", "--cors-origin wants a scheme and a host, such as https://console.example.com, or *", "%q has what is no origin", o.CORSOrigins)
	case o.ShardQuota < 0:
		return wrong("shard_quota", "--shard-quota wants the number of shards that there may be", "a quota of %d shards", o.ShardQuota)
	case o.Transition < 0 || o.Transition > maxTransition:
		return wrong("transition", "--transition wants 0s to 1h", "states cannot last %v", o.Transition)
	case (o.CertFile == "") != (o.KeyFile == ""):
		return wrong("tls", "--tls-cert and --tls-key go together", "a certificate without its key, or a key without its certificate")
	case o.CertFile != "" && o.SelfSigned:
		return wrong("tls", "drop --tls-self-signed, or --tls-cert and --tls-key", "two certificates: one from a file and one that leat makes")
	}
	return nil
}

func notOrigin(s string) bool {
	u, err := url.Parse(s)
	return s != "*" && (err != nil || u.Scheme+"://"+u.Host != s || u.Host == "")
}

// tls tells whether there is a certificate.
func (o *Options) tls() bool { return o.TLSAddr != "" && (o.CertFile != "" || o.SelfSigned) }
