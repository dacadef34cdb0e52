package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/shardlog/disk"
	"github.com/leatstream/leat/core/vfs"
)

type logCmd struct {
	Verify logVerifyCmd `cmd:"" help:"Check every byte of logs."`
	Dump   logDumpCmd   `cmd:"" help:"Show what logs are made of."`
}

// Help is shown by leat log --help.
func (logCmd) Help() string {
	return `DIR is the folder of one log, or a data directory: then it is all its logs, those of the streams and the state's journal. Nothing is written.

Example:

  leat log verify ./leat-data`
}

// logFolders returns the folders of the logs in dir, a data directory or the folder of one log.
func logFolders(dir string) ([]string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, wrong("find the logs: %w", err)
	}
	if !info.IsDir() {
		return nil, wrong("%s is not a folder", dir)
	}
	if _, err := os.Stat(filepath.Join(dir, "VERSION")); errors.Is(err, fs.ErrNotExist) {
		if segments, _ := filepath.Glob(filepath.Join(dir, "*.seg*")); len(segments) == 0 {
			return nil, wrong("%s is neither a data directory nor the folder of a log", dir)
		}
		return []string{dir}, nil
	}
	folders := []string{filepath.Join(dir, "state", "journal")}
	streams, err := os.ReadDir(filepath.Join(dir, "streams"))
	if err != nil {
		return nil, err
	}
	for _, s := range streams {
		if s.IsDir() {
			folders = append(folders, filepath.Join(dir, "streams", s.Name()))
		}
	}
	return folders, nil
}

// withLogs calls use with the folders of the logs in dir, while no leat can change them.
func withLogs(dir string, use func(folders []string) error) error {
	folders, err := logFolders(dir)
	if err != nil {
		return err
	}
	unlock, err := lockAround(dir)
	if err != nil {
		return err
	}
	defer unlock()
	return use(folders)
}

// lockAround takes the locks that keep a leat away from dir: of the data directory, or of the one that a log lies in.
func lockAround(dir string) (unlock func(), err error) {
	var locks []io.Closer
	unlock = func() {
		for _, l := range locks {
			_ = l.Close() // the lock ends with the process in any case
		}
	}
	for _, name := range []string{filepath.Join(dir, "LOCK"), filepath.Join(dir, "..", "LOCK"), filepath.Join(dir, "..", "..", "LOCK")} {
		if _, err := os.Stat(name); err != nil {
			continue
		}
		lock, err := vfs.OS().Lock(name)
		if err != nil {
			unlock()
			return nil, fault.New(fault.Unavailable, "log.locked", "%s is in use: %w", dir, err).WithHint("stop the leat that uses it")
		}
		locks = append(locks, lock)
	}
	return unlock, nil
}

type logVerifyCmd struct {
	Dir string `arg:"" help:"Folder of a log, or a data directory."`
	jsonFlag
}

// Help is shown by leat log verify --help.
func (logVerifyCmd) Help() string {
	return `Exit codes: 0 all is well, 1 something is damaged, 2 wrong use, 3 the log is in use.

Example:

  leat log verify ./leat-data`
}

// verified is what was found in one log.
type verified struct {
	Log      string   `json:"log"`
	Segments int      `json:"segments"`
	Records  int64    `json:"records"`
	Bytes    int64    `json:"bytes"`
	Damages  []damage `json:"damages"`
}

type damage struct {
	File    string `json:"file"`
	Segment uint64 `json:"segment"`
	Offset  int64  `json:"offset"`
	Region  string `json:"region"`
	Detail  string `json:"detail"`
}

// Run verifies logs.
func (c *logVerifyCmd) Run(a *app) error {
	all := []verified{}
	damaged := 0
	err := withLogs(c.Dir, func(folders []string) error {
		for _, folder := range folders {
			v, err := c.log(a, folder)
			if err != nil {
				return err
			}
			damaged += len(v.Damages)
			all = append(all, v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if c.JSON {
		if err := a.printJSON(all); err != nil {
			return err
		}
	}
	if damaged > 0 {
		return &exitError{code: exitFailed}
	}
	return nil
}

func (c *logVerifyCmd) log(a *app, folder string) (verified, error) {
	v := verified{Log: folder, Damages: []damage{}}
	sum, err := disk.Verify(vfs.OS(), folder, func(d disk.Damage) {
		v.Damages = append(v.Damages, damage{d.Path, d.Segment, d.Offset, fmt.Sprint(d.Region), d.Detail})
		if !c.JSON {
			fmt.Fprintf(a.stdout, "damaged: %v\n", &d)
		}
	})
	v.Segments, v.Records, v.Bytes = sum.Segments, sum.Records, sum.Bytes
	if err == nil && !c.JSON {
		fmt.Fprintf(a.stdout, "%s: %s, %d records, %s, %s\n", folder, plural(v.Segments, "segment"), v.Records, sizeText(v.Bytes),
			plural(len(v.Damages), "damaged place"))
	}
	return v, err
}

type logDumpCmd struct {
	Dir string `arg:"" help:"Folder of a log, or a data directory."`
}

// Help is shown by leat log dump --help.
func (logDumpCmd) Help() string {
	return `Prints segments, blocks, runs, marks and footers, for people who look for what is wrong. FORMAT.md in the source explains them. The form may change from version to version.

Exit codes: 0, 1 something cannot be read, 2 wrong use, 3 the log is in use.

Example:

  leat log dump ./leat-data | less`
}

// Run dumps logs.
func (c *logDumpCmd) Run(a *app) error {
	return withLogs(c.Dir, func(folders []string) error {
		out := bufio.NewWriter(a.stdout)
		for _, folder := range folders {
			fmt.Fprintf(out, "log %s\n", folder)
			if err := disk.Dump(vfs.OS(), folder, out); err != nil {
				return errors.Join(err, out.Flush())
			}
		}
		return out.Flush()
	})
}
