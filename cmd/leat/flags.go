package main

import (
	"io"
	"log/slog"

	"github.com/leatstream/leat/core/datadir"
	"github.com/leatstream/leat/core/observe"
	"github.com/leatstream/leat/core/vfs"
)

// dataFlag names the data directory.
type dataFlag struct {
	Data string `help:"Data directory: streams, state and objects on their way. A relative one is below the working directory: started elsewhere, leat starts anew." default:"./leat-data"`
}

// open opens the data directory for this process alone. metrics may be nil.
func (f *dataFlag) open(logger *slog.Logger, metrics *observe.Metrics) (*datadir.Dir, error) {
	return datadir.OpenMeasured(vfs.OS(), f.Data, logger, metrics)
}

// jsonFlag asks for output for programs.
type jsonFlag struct {
	JSON bool `help:"Print the result as JSON on standard output."`
}

// setFlag overrides values of pipeline files.
type setFlag struct {
	Set []string `help:"Override a value of the file, such as sinks.archive.buffer.size=1MiB; may be repeated." placeholder:"PATH=VALUE" sep:"none"`
}

// logFlags say what is logged and how.
type logFlags struct {
	LogFormat observe.Format `help:"Form of log lines: ${enum}." enum:"text,json" default:"text"`
	LogLevel  string         `help:"Least level that is logged: debug, info, warn or error." enum:"debug,info,warn,error," default:"" placeholder:"LEVEL"`
}

// logger writes to w. least is the level without --log-level.
func (f *logFlags) logger(w io.Writer, least slog.Level) *slog.Logger {
	if f.LogLevel != "" {
		_ = least.UnmarshalText([]byte(f.LogLevel)) // the flag takes nothing else
	}
	return observe.Logger(w, f.LogFormat, least)
}
