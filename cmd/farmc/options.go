package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"farmc/cmd/internal/live"
	"farmc/compiler"
	"farmc/compiler/diag"
)

// options are what all commands that work on farms take.
type options struct {
	dirs           []string
	stateDir       string
	nft            string
	quiet, verbose bool
	lenientLists   bool
	insecure       bool
	color          string
}

// usualDirs are where farms lie on a machine: the administrator's, and over them what programs write until the next
// boot.
var defaultDirs = []string{"/etc/farmc/farms.d", "/run/farmc/farms.d"}

func (o *options) declare(set *pflag.FlagSet, bare bool) {
	if bare {
		return
	}
	set.StringArrayVarP(&o.dirs, "dir", "d", nil, "`directory` of farms; repeatable, a later one takes precedence\n(default /etc/farmc/farms.d, then /run/farmc/farms.d)")
	set.StringVar(&o.stateDir, "state-dir", defaultStateDir(), "`directory` where the last good script is kept")
	set.StringVar(&o.nft, "nft", "", "`path` of the nft program (default: the one on PATH)")
	set.BoolVarP(&o.quiet, "quiet", "q", false, "tell faults alone")
	set.BoolVarP(&o.verbose, "verbose", "v", false, "show the script that nft refuses, with line numbers")
	set.BoolVar(&o.insecure, "insecure-permissions", false, "as root, go on though others may write to the farms, or to what was loaded last")
	set.BoolVar(&o.lenientLists, "lenient-lists", false, "leave out the lines of lists that are no networks, with a warning")
	set.StringVar(&o.color, "color", "auto", "`when` to use colour: auto, always or never")
}

func defaultStateDir() string {
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" {
		return dir
	}
	return "/var/lib/farmc"
}

func (o *options) validate() error {
	if slices.Contains(o.dirs, "") {
		return errors.New("--dir is empty")
	}
	if o.stateDir == "" {
		return errors.New("--state-dir is empty")
	}
	switch o.color {
	case "auto", "always", "never":
		return nil
	}
	return fmt.Errorf("--color is %q, not auto, always or never", o.color)
}

// dirPaths are the directories in force.
func (o *options) dirPaths() []string {
	if len(o.dirs) > 0 {
		return o.dirs
	}
	return defaultDirs
}

// farmDirs are the directories in force, for the compiler. One that was asked for must exist; of the usual ones,
// any.
func (o *options) farmDirs() []compiler.Dir {
	var out []compiler.Dir
	for _, path := range o.dirPaths() {
		d := live.Dir(path)
		d.Optional, d.Lenient = len(o.dirs) == 0, o.lenientLists
		out = append(out, d)
	}
	return out
}

// palette is that of a terminal where w is one, or colour was asked for. NO_COLOR (no-color.org) turns it off.
func (o *options) palette(w io.Writer) diag.Palette {
	if o.color == "always" || o.color == "auto" && isTerminal(w) && os.Getenv("NO_COLOR") == "" {
		return diag.Terminal
	}
	return diag.Palette{}
}

func isTerminal(w io.Writer) bool {
	f, isFile := w.(*os.File)
	if !isFile {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
