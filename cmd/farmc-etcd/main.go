// Farmc-etcd distributes the files of farms by etcd: mirror keeps a directory as etcd has it, for farmc watch --dir;
// push, promote and rollback change etcd; status shows the machines that mirror. It runs beside farmc, and asks it
// with the commands farmc check and farmc status. No farmc depends on it: if etcd or farmc-etcd is gone, the files
// stay.
//
// Order of the files: main.go has the command line, config.go the configuration file and the client of etcd. names.go
// has the names that files of farms can have, contents.go the content of a prefix. mirror.go follows a prefix, tree.go
// writes its directory, report.go tells etcd which revision this machine has loaded. push.go, promote.go, rollback.go
// and status.go have the other commands, transaction.go their changes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// Exit statuses.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// Prefixes of keys in etcd.
const (
	farmsPrefix = "/farmc/farms/"
	hostsPrefix = "/farmc/hosts/"
)

// A command is one of farmc-etcd's commands.
type command struct {
	name, args, summary string
	flags               func(o *options, set *pflag.FlagSet)
	run                 func(ctx context.Context, o *options) error
}

// commands returns the commands in the order of the usage.
func commands() []command {
	return []command{mirrorCommand, pushCommand, promoteCommand, rollbackCommand, statusCommand}
}

// options are the options of all commands.
type options struct {
	config
	args           []string
	stdout, stderr io.Writer

	prefix, dir string
	mayBeEmpty  bool
	host        string
	farmc       string
	farmcDirs   []string
	from, to    string
	wait        time.Duration
	revision    int64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// errUsage reports a wrong command line.
var errUsage = errors.New("see farmc-etcd help")

// run runs a command line, and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" {
		usage(stdout)
		return exitOK
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.start(ctx, args[1:], stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "farmc-etcd: no command %q: %v\n", args[0], errUsage)
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprint(w, "farmc-etcd distributes the files of farms by etcd; see farmc-etcd(1).\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  farmc-etcd %-22s %s\n", c.name+" "+c.args, c.summary)
	}
}

// start parses the options of a command and runs it.
func (c command) start(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := &options{stdout: stdout, stderr: stderr}
	set := pflag.NewFlagSet("farmc-etcd "+c.name, pflag.ContinueOnError)
	set.SetOutput(stdout)
	set.SortFlags = false
	c.flags(o, set)
	o.config.declare(set)
	err := set.Parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		return exitOK
	}
	if o.args = set.Args(); err == nil {
		err = o.config.complete(set)
	}
	if err != nil {
		fmt.Fprintf(stderr, "farmc-etcd: %v\n", err)
		return exitUsage
	}
	switch err := o.explain(c.run(ctx, o)); {
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "farmc-etcd: %v\n", err)
		return exitUsage
	case err != nil && ctx.Err() == nil:
		fmt.Fprintf(stderr, "farmc-etcd: %v\n", err)
		return exitFailure
	}
	return exitOK
}

// log writes a line to standard error.
func (o *options) log(format string, args ...any) { fmt.Fprintf(o.stderr, format+"\n", args...) }

// checkPrefix returns an error for a prefix that names no directory of keys.
func checkPrefix(flag, prefix string) error {
	if len(prefix) < 2 || prefix[len(prefix)-1] != '/' {
		return fmt.Errorf("%s is %q, not a prefix such as %s: %w", flag, prefix, farmsPrefix, errUsage)
	}
	return nil
}
