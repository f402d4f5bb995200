package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"farmc/cmd/internal/statedir"

	"github.com/spf13/pflag"
)

var bugReportVerb = verb{
	name:    "bugreport",
	summary: "collect scripts, status and logs into a tar file",
	about: `Writes a tar file with everything that a bug report needs: the versions of farmc, nft, the kernel and
the distribution; the scripts that were loaded last; all rules of the kernel; the output of
status --json, doctor and history; and the last lines of the journal of farmc's units. It has no
keys of the API and no farm files. Addresses and names of farms are in it: read it before you
publish it.`,
	flags: func(c *call) {
		c.set.StringVarP(&c.output, "output", "o", "", "write to this `file`, which must not exist\n"+
			"(default farmc-bugreport-TIME.tar.gz)")
	},
	run: func(ctx context.Context, c *call) int {
		path := c.output
		if path == "" {
			path = "farmc-bugreport-" + time.Now().Format("20060102-150405") + ".tar.gz"
		}
		if err := c.writeReport(ctx, path); err != nil {
			c.printError(err)
			return exitFailure
		}
		c.log("%s is written; it has addresses and names of farms", path)
		return exitOK
	},
}

// maxReportPart is the size of a file in the report, in bytes. The rest of a longer one is left out.
const maxReportPart = 32 << 20

// writeReport creates the file for its owner alone. After an error there is none.
func (c *call) writeReport(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	packed := gzip.NewWriter(f)
	archive := tar.NewWriter(packed)
	for _, p := range c.reportParts(ctx) {
		header := &tar.Header{Name: "farmc-bugreport/" + p.name, Mode: 0o600, Size: int64(len(p.text)),
			ModTime: time.Now()}
		err = errors.Join(err, archive.WriteHeader(header))
		_, writing := archive.Write(p.text)
		err = errors.Join(err, writing)
	}
	if err = errors.Join(err, archive.Close(), packed.Close(), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// A reportPart is a file in the report.
type reportPart struct {
	name string
	text []byte
}

// reportParts collects the files. A part that cannot be had holds the reason.
func (c *call) reportParts(ctx context.Context) []reportPart {
	state := func(name string) []byte { return fileStart(filepath.Join(c.stateDir, name)) }
	nft := c.nft
	if nft == "" {
		nft = "nft"
	}
	return []reportPart{
		{"version.txt", c.ownOutput(ctx, "version")},
		{"kernel.txt", outputOf(ctx, "uname", "-a")},
		{"os-release.txt", fileStart("/etc/os-release")},
		{"status.json", c.ownOutput(ctx, "status", "--json")},
		{"doctor.txt", c.ownOutput(ctx, "doctor")},
		{"history.txt", c.ownOutput(ctx, "history")},
		{"loaded.nft", state("loaded.nft")},
		{"previous.nft", state("previous.nft")},
		{"rules.nft", outputOf(ctx, nft, "list", "ruleset")},
		{"journal.txt", outputOf(ctx, "journalctl", "--no-pager", "-n", "2000", "-u", "farmc*")},
	}
}

// ownOutput runs another command of farmc with the common options of this one.
func (c *call) ownOutput(ctx context.Context, args ...string) []byte {
	c.set.Visit(func(f *pflag.Flag) {
		if f.Name == "output" {
			return
		}
		if dirs, isDirs := f.Value.(pflag.SliceValue); isDirs {
			for _, dir := range dirs.GetSlice() {
				args = append(args, "--"+f.Name+"="+dir)
			}
			return
		}
		args = append(args, "--"+f.Name+"="+f.Value.String())
	})
	return outputOf(ctx, os.Args[0], args...)
}

// outputOf returns the output of a program, of both streams, and its error. The name of this program runs this very
// file, also if another one has taken its place.
func outputOf(ctx context.Context, name string, args ...string) []byte {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	if name == os.Args[0] {
		cmd.Path, cmd.Err = "/proc/self/exe", nil
	}
	text, err := cmd.CombinedOutput()
	if err != nil {
		text = fmt.Appendf(text, "\n%s: %v\n", filepath.Base(name), err)
	}
	return text[:min(len(text), maxReportPart)]
}

// fileStart returns the first bytes of a regular file, or the error.
func fileStart(path string) []byte {
	f, err := (statedir.Store{Dir: filepath.Dir(path)}).Open(filepath.Base(path))
	if err != nil {
		return fmt.Appendln(nil, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxReportPart))
	if err != nil {
		return fmt.Appendln(text, err)
	}
	return text
}
