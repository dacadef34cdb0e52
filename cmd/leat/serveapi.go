package main

import (
	"fmt"
	"strings"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/pipelines/apis"
	"github.com/leatstream/leat/pipelines/spec"
)

// apiFlags are those of the Kinesis API.
type apiFlags struct {
	Addr          string        `help:"Answer the Kinesis API at this address; nowhere if empty or off." default:"127.0.0.1:4567"`
	TLSAddr       string        `help:"Answer it with TLS at this address, given a certificate." default:"127.0.0.1:4569" name:"tls-addr"`
	TLSCert       string        `help:"Certificate for TLS with its chain, in PEM. A new one in its place is used at once." name:"tls-cert" placeholder:"FILE"`
	TLSKey        string        `help:"Key of the certificate, in PEM." name:"tls-key" placeholder:"FILE"`
	TLSSelfSigned bool          `help:"Use a self-signed certificate, kept in the data directory: for development." name:"tls-self-signed"`
	CORSOrigin    []string      `help:"Origins of web pages that may call the API besides those on this machine; * for any." name:"cors-origin" placeholder:"URL"`
	Limits        string        `help:"Limits of shards and of the rates of calls: ${enum}. Streams of pipelines have none unless their file says so." enum:"aws,off" default:"aws"`
	Account       string        `help:"Account id in ARNs and error texts." default:"000000000000"`
	Region        string        `help:"Region in ARNs." default:"us-east-1"`
	ShardQuota    int           `help:"How many open shards the account may have." default:"20000"`
	Transition    spec.Duration `help:"How long the states CREATING, UPDATING and DELETING last at least; 0s for as long as they are true." default:"0s"`
}

// listen listens for the API. Errors about the flags are wrong use.
func (f *apiFlags) listen(h *host, hf *hostFlags) (*apis.Server, error) {
	if f.TLSAddr = address(f.TLSAddr); f.TLSAddr == "" && (f.TLSCert != "" || f.TLSSelfSigned) {
		return nil, wrong("a certificate without an address: --tls-addr is off")
	}
	if f.ShardQuota == 0 { // to the API it means the default
		return nil, wrong("--shard-quota 0 allows no stream")
	}
	server, err := apis.Listen(apis.Options{
		Addr: address(f.Addr), TLSAddr: f.TLSAddr, CertFile: f.TLSCert, KeyFile: f.TLSKey, SelfSigned: f.TLSSelfSigned,
		Insecure: hf.Insecure, Hosts: hf.Host, CORSOrigins: f.CORSOrigin,
		Limits: f.Limits == "aws", Account: f.Account, Region: f.Region, ShardQuota: f.ShardQuota, Transition: f.Transition.Std(),
		Logger: h.options.Logger, Metrics: h.options.Metrics, Health: h.health,
	})
	if err != nil && fault.ClassOf(err) == fault.Permanent {
		err = &exitError{exitUsage, err}
	}
	return server, err
}

// greet tells a newcomer where things are and what to try: on the first start with a data directory. Logs in JSON are read
// by programs, and have it all in their own lines.
func (f *apiFlags) greet(h *host, server *apis.Server, logs observe.Format) {
	if !h.options.Data.New || logs == observe.JSON {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n  data directory  %s (new)\n", h.options.Data.Path)
	endpoint, trust := server.Endpoint(), ""
	if endpoint != "" {
		fmt.Fprintf(&b, "  Kinesis API     %s\n", endpoint)
	}
	if tls := server.TLSEndpoint(); tls != "" {
		fmt.Fprintf(&b, "  with TLS        %s\n", tls)
		if ca := server.Authority(); ca != "" {
			fmt.Fprintf(&b, "  to be trusted   %s\n", ca)
			trust = "AWS_CA_BUNDLE=" + ca + " "
		}
		if endpoint == "" {
			endpoint = tls
		} else {
			trust = ""
		}
	}
	if endpoint != "" {
		fmt.Fprintf(&b, "\n  Any credentials will do. Try:\n\n"+
			"    %sAWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any aws --region %s --endpoint-url %s kinesis create-stream --stream-name orders --shard-count 1\n",
			trust, f.Region, endpoint)
	}
	fmt.Fprintln(h.status, b.String())
}
