package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/pipelines/build"
	"github.com/leatstream/leat/pipelines/control"
)

// hostFlags are those of the commands that run pipelines.
type hostFlags struct {
	Removed  string   `help:"What to do with sealed objects of sinks that the file does not have any more: ${enum}. With abandon these sinks are forgotten altogether; else one that comes back goes on from its checkpoint." enum:"refuse,finish,abandon" default:"refuse"`
	Metrics  string   `help:"Serve /metrics and /healthz at this address, such as 127.0.0.1:4568; nowhere if empty or off." default:"${metrics}"`
	Insecure bool     `help:"Allow addresses that other machines reach, though nobody has to prove who they are."`
	Host     []string `help:"Names under which it may be reached besides localhost and IP addresses; * for any." placeholder:"NAME"`
	dataFlag
	logFlags
}

// host is what pipelines run on.
type host struct {
	*job
	options build.Options
	health  *observe.Health
	control *control.Server // nil if nobody can look in

	endMetrics func()
}

// host serves metrics and health if they are wanted, and opens the data directory. least is the level of logs without
// --log-level.
func (f *hostFlags) host(a *app, quiet bool, least slog.Level) (*host, error) {
	h, err := f.begin(a, quiet, least)
	if err != nil {
		return nil, err
	}
	return h, h.open(f)
}

// begin is host without the data directory, which open opens: between them a server listens.
func (f *hostFlags) begin(a *app, quiet bool, least slog.Level) (*host, error) {
	h := &host{job: a.begin(quiet, endsPuts), health: &observe.Health{}, endMetrics: func() {}}
	h.options = build.Options{
		Health: h.health,
		Logger: f.logger(h.status, least), Stdout: a.stdout, Progress: h.doing, Removed: build.Removed(f.Removed),
	}
	if addr := address(f.Metrics); addr != "" {
		if err := h.serveMetrics(observe.ServerConfig{Addr: addr, Insecure: f.Insecure, Hosts: f.Host, Health: h.health}); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// open opens the data directory. If it fails, the host has ended.
func (h *host) open(f *hostFlags) error {
	dir, err := f.dataFlag.open(h.options.Logger, h.options.Metrics)
	if err != nil {
		h.endMetrics()
		return err
	}
	h.options.Data = dir
	h.options.Logger.Info("opened the data directory", "path", dir.Path, "new", dir.New)
	if h.control, err = control.Listen(dir.Path, h.options.Logger); err != nil {
		h.options.Logger.Warn("leat tap cannot look at what runs here", "error", err)
	}
	return nil
}

// address is an address of a flag, for which the word off says what an empty environment variable cannot: none.
func address(flag string) string {
	if flag == "off" {
		return ""
	}
	return flag
}

func (h *host) close() error {
	err := errors.Join(h.control.Close(), h.options.Data.Close())
	h.endMetrics()
	return err
}

func (h *host) serveMetrics(cfg observe.ServerConfig) error {
	cfg.Metrics = observe.NewMetrics()
	server, err := observe.NewServer(cfg)
	if err != nil && fault.ClassOf(err) == fault.Permanent { // the address is no good, whatever the state of the machine
		err = &exitError{exitUsage, err}
	}
	if err != nil {
		return err
	}
	h.options.Metrics = cfg.Metrics
	logger := h.options.Logger
	logger.Info("serving metrics and health", "address", server.Addr())
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(); err != nil {
			logger.Error("metrics and health are not served any more", "error", err)
		}
	}()
	h.endMetrics = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx) // the process ends, with or without the last request
		<-served
	}
	return nil
}
