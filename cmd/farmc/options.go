package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"farmc/cmd/internal/announce"
	"farmc/cmd/internal/live"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// options are the common options of commands that work on farms.
type options struct {
	dirs           []string
	stateDir       string
	nft            string
	nftLimit       time.Duration
	quiet, verbose bool
	lenientLists   bool
	table          uint32
	insecure       bool
	color          string
}

// defaultDirs are the directories without --dir: files of the administrator, and files that programs write until the
// next boot. The second one takes precedence.
var defaultDirs = []string{"/etc/farmc/farms.d", "/run/farmc/farms.d"}

func (o *options) declare(set *pflag.FlagSet, bare bool) {
	if bare {
		return
	}
	set.StringArrayVarP(&o.dirs, "dir", "d", nil, "`directory` of farms; repeatable, a later one takes precedence\n"+
		"(default /etc/farmc/farms.d, then /run/farmc/farms.d)")
	set.StringVar(&o.stateDir, "state-dir", defaultStateDir(), "`directory` where the last good script is kept")
	set.StringVar(&o.nft, "nft", "", "`path` of the nft program (default: the one on PATH)")
	set.DurationVar(&o.nftLimit, "nft-limit", 10*time.Minute, "`time` after which an nft that does not end is stopped")
	set.Uint32Var(&o.table, "table", uint32(announce.DefaultTable),
		"`number` of the routing table for addresses of farms with announce")
	set.BoolVarP(&o.quiet, "quiet", "q", false, "print only faults")
	set.BoolVarP(&o.verbose, "verbose", "v", false, "show the script that nft refuses, with line numbers")
	set.BoolVar(&o.insecure, "insecure-permissions", false,
		"as root, only warn if other users may write to the farms or the state directory")
	set.BoolVar(&o.lenientLists, "lenient-lists", false, "skip list lines that are not networks, with a warning")
	set.StringVar(&o.color, "color", "auto", "`when` to use colour: auto, always or never")
}

func defaultStateDir() string {
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" {
		return dir
	}
	return "/var/lib/farmc"
}

func (o *options) validate() error {
	if err := o.validateDirs(); err != nil {
		return err
	}
	if o.stateDir == "" {
		return errors.New("--state-dir is empty")
	}
	if o.stateDir == os.Getenv("STATE_DIRECTORY") && strings.Contains(o.stateDir, ":") {
		return fmt.Errorf("STATE_DIRECTORY is %q, several directories: choose one with --state-dir", o.stateDir)
	}
	if o.nftLimit <= 0 {
		return fmt.Errorf("--nft-limit is %s, not a time above 0", o.nftLimit)
	}
	if o.table < 1 || o.table > 252 {
		return fmt.Errorf("--table is %d, not a number from 1 to 252", o.table)
	}
	switch o.color {
	case "auto", "always", "never":
		return nil
	}
	return fmt.Errorf("--color is %q, not auto, always or never", o.color)
}

// maxDirsLength is the maximum length of all directories' paths together. The comment of a zip archive keeps them, and
// has 65,535 bytes at most.
const maxDirsLength = 32 << 10

func (o *options) validateDirs() error {
	length := 0
	for _, dir := range o.dirs {
		switch {
		case dir == "":
			return errors.New("--dir is empty")
		case strings.Contains(dir, "\n"):
			return fmt.Errorf("--dir is %q, with a line end", dir)
		}
		length += len(dir) + len("\nlenient ")
	}
	if length > maxDirsLength {
		return fmt.Errorf("--dir: the paths have %d bytes together, at most %d", length, maxDirsLength)
	}
	return nil
}

// dirPaths returns the directories of farms.
func (o *options) dirPaths() []string {
	if len(o.dirs) > 0 {
		return o.dirs
	}
	return defaultDirs
}

// farmDirs returns the directories of farms for the compiler. Directories given with --dir must exist; the default ones
// are optional.
func (o *options) farmDirs() []farm.Dir {
	var out []farm.Dir
	for _, path := range o.dirPaths() {
		d := live.Dir(path)
		d.Optional, d.Lenient = len(o.dirs) == 0, o.lenientLists
		out = append(out, d)
	}
	return out
}

// palette returns colours for a terminal, or for any writer with --color always. NO_COLOR (no-color.org) disables auto.
func (o *options) palette(w io.Writer) diag.Palette {
	if o.color == "always" || o.color == "auto" && isTerminal(w) && os.Getenv("NO_COLOR") == "" {
		return diag.Terminal
	}
	return diag.Palette{}
}

func isTerminal(w io.Writer) bool {
	if o, is := w.(*output); is {
		w = o.Writer
	}
	f, isFile := w.(*os.File)
	if !isFile {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
