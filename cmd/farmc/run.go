package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"farmc/cmd/internal/announce"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/nft"
	"farmc/cmd/internal/preflight"
	"farmc/cmd/internal/statedir"
	"farmc/compiler/diag"
	"farmc/compiler/ruleset"
)

// Exit statuses of all commands but diff.
const (
	exitOK      = 0
	exitFailure = 1 // faults in the farms, or an error of nft, the kernel or a file
	exitUsage   = 2 // wrong command line
)

// A verb is one of farmc's commands.
type verb struct {
	name    string
	args    string // arguments in the usage line; "": none
	summary string // one line, for the list of commands
	about   string // further help text
	bare    bool   // without the common options
	flags   func(c *call)
	run     func(ctx context.Context, c *call) int
}

// verbs returns the commands in the order of the usage.
func verbs() []verb {
	return []verb{newVerb, compileVerb, checkVerb, fmtVerb, showVerb, diffVerb, applyVerb, confirmVerb,
		rollbackVerb, historyVerb, withdrawVerb, announceVerb, unloadVerb,
		watchVerb, healthVerb, probeVerb, statusVerb, explainVerb, graphVerb, traceVerb,
		doctorVerb, bugReportVerb, drainVerb, downVerb, upVerb, banVerb,
		unbanVerb, importVerb, exportVerb, apiVerb, apiKeyVerb, schemaVerb, lspVerb, demoVerb, versionVerb,
		completionVerb(), helpVerb()}
}

// A call is one run of a verb: its options, arguments and streams.
type call struct {
	options
	verb           verb
	set            *pflag.FlagSet
	line           []string // the command line after the verb
	args           []string // its arguments without options
	stdout, stderr io.Writer

	watcher *watcher // runs the call for another process; nil: this process runs it

	output  string // compile -o
	boot    bool   // compile --boot
	noNft   bool   // check --no-nft
	machine bool   // check --machine
	resolve bool   // compile, check, diff, apply --resolve
	json    bool   // status --json, explain --json, trace --json
	origin  bool   // show --origin
	check   bool   // fmt --check
	watch   bool   // status --watch

	from, in string // explain --from, --in; trace --from
	protocol string // trace --protocol
	all      bool   // trace --all
	replies  bool   // trace --replies
	count    int    // trace --count
	backend  string // doctor --backend

	listen, backends []string // new --listen, --backend

	limit time.Duration // drain --for, down --for, trace --for
	wait  bool          // drain --wait, down --wait

	confirm time.Duration // apply --confirm
	trial   string        // apply --trial
	isolate bool          // apply --isolate, watch --isolate

	api   apiOptions // watch, api; api-key --api-keys
	relay string     // watch --relay, api --relay

	keep          bool          // withdraw --keep
	withdrawDelay time.Duration // apply, watch --withdraw-delay

	checks bool          // watch --health
	health healthOptions // health
	role   string        // api-key --role
	farms  []string      // api-key --farm

	imports importOptions // import, export
}

// run selects the verb of a command line and runs it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage())
		return exitUsage
	}
	switch args[0] {
	case "-h", "--help":
		args = []string{"help"}
	case "--version":
		args = []string{"version"}
	}
	known := append(verbs(), awaitVerb, namesVerb)
	i := slices.IndexFunc(known, func(v verb) bool { return v.name == args[0] })
	if i < 0 && strings.HasPrefix(args[0], "-") {
		fmt.Fprintf(stderr, "farmc: %s\n", oneLine(unknownOption(args[0])))
		return exitUsage
	}
	if i < 0 {
		fmt.Fprintf(stderr, "farmc: %s\n", unknownCommand(args[0]))
		return exitUsage
	}
	written := &output{Writer: stdout}
	c := &call{verb: known[i], stdout: written, stderr: stderr}
	status := c.run(ctx, args[1:])
	if written.err == nil || status == c.failure() {
		return status
	}
	c.printError(fmt.Errorf("write standard output: %w", written.err))
	return c.failure()
}

// failure returns the exit status of an error: in diff 1 means a difference.
func (c *call) failure() int {
	if c.verb.name == diffVerb.name {
		return trouble
	}
	return exitFailure
}

func (c *call) run(ctx context.Context, args []string) int {
	c.set, c.line = c.verb.flagSet(c), args
	switch err := c.set.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(c.stdout, c.verb.help())
		return exitOK
	case err != nil:
		return c.usageError("%s", unknownFlag(err, c.set))
	}
	c.args = c.set.Args()
	if err := c.options.validate(); err != nil && !c.verb.bare {
		return c.usageError("%v", err)
	}
	if len(c.args) > 0 && c.verb.args == "" {
		return c.usageError("%s", superfluous(c.verb.name, c.args[0]))
	}
	if c.isServed() {
		if status, ran := c.askWatcher(ctx, args, c.stdout); ran {
			return status
		}
	}
	return c.verb.run(ctx, c)
}

// usageError prints an error in the command line.
func (c *call) usageError(format string, args ...any) int {
	fmt.Fprintf(c.stderr, "farmc: %s; see farmc help %s\n", oneLine(fmt.Sprintf(format, args...)), c.verb.name)
	return exitUsage
}

// flagSet returns the flags of the verb, bound to c.
func (v verb) flagSet(c *call) *pflag.FlagSet {
	set := pflag.NewFlagSet(v.name, pflag.ContinueOnError)
	set.SortFlags = false
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	c.set = set
	if v.flags != nil {
		v.flags(c)
	}
	c.options.declare(set, v.bare)
	return set
}

// log prints a line to stderr, except with --quiet.
func (c *call) log(format string, args ...any) {
	if !c.quiet {
		fmt.Fprintln(c.stderr, oneLine(fmt.Sprintf(format, args...)))
	}
}

// oneLine makes a text printable that can hold names of files and programs. A line end in a name must not begin a new
// line of a log.
func oneLine(text string) string {
	return diag.Printable(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
}

// printError prints an error that has no diagnostics.
func (c *call) printError(err error) {
	p := c.palette(c.stderr)
	fmt.Fprintf(c.stderr, "%sfarmc: %s%s\n", p.Fault, oneLine(c.needsRoot(err).Error()), p.Reset)
}

// printDiagnostics prints diagnostics; with --quiet, only faults.
func (c *call) printDiagnostics(diagnostics diag.Diagnostics) {
	if c.quiet {
		isNoFault := func(d diag.Diagnostic) bool { return d.Severity != diag.Fault }
		diagnostics = slices.DeleteFunc(slices.Clone(diagnostics), isNoFault)
	}
	diagnostics.Print(c.stderr, c.palette(c.stderr))
}

// reportApply prints the diagnostics and the error of an apply, and reports whether it succeeded.
func (c *call) reportApply(p live.Plan, diagnostics diag.Diagnostics, err error) bool {
	script := p.Script
	if p.Isolated != nil || p.Restored {
		script = nil // nft refused another script
	}
	loaded := c.report(script, diagnostics, err)
	c.printLook(p.Look)
	return loaded
}

// printLook prints findings about this machine that appeared, and those that ended.
func (c *call) printLook(l live.Look) {
	c.printDiagnostics(l.Appeared.Diagnostics())
	for _, text := range preflight.Lines(l.Ended) {
		c.log("no longer: %s", text)
	}
}

// report prints the diagnostics and the error of a step, and reports whether it succeeded. With --verbose it prints the
// script that nft refused.
func (c *call) report(script *ruleset.Script, diagnostics diag.Diagnostics, err error) bool {
	c.printDiagnostics(diagnostics)
	if err != nil && script != nil && c.verbose && errors.Is(err, live.ErrFaulty) {
		fmt.Fprint(c.stderr, numberLines(script.Text))
	}
	if errors.Is(err, live.ErrFaulty) {
		c.log("%s", summary(diagnostics))
	} else if err != nil {
		c.printError(err)
	}
	return err == nil
}

// summary returns the number of faults, because the first ones can have scrolled off the screen.
func summary(diagnostics diag.Diagnostics) string {
	faults := 0
	for _, d := range diagnostics {
		if d.Severity == diag.Fault {
			faults++
		}
	}
	if faults == 1 {
		return "one fault"
	}
	return fmt.Sprintf("%d faults", faults)
}

func numberLines(text []byte) string {
	var out strings.Builder
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		fmt.Fprintf(&out, "%6d  %s", n, line)
	}
	return out.String()
}

// cause names the command for the history of loads.
func (c *call) cause() string {
	if c.confirm > 0 {
		return "farmc " + c.verb.name + " --confirm"
	}
	return "farmc " + c.verb.name
}

func (c *call) engine() *live.Engine {
	if c.watcher != nil {
		return c.watcher.engineFor(c)
	}
	return &live.Engine{Dirs: c.farmDirs(), Nft: nft.Nft{Path: c.nft, Limit: c.nftLimit},
		Store: statedir.NewStore(c.stateDir), Log: c.log, Isolate: c.isolate,
		Insecure: c.insecure, Cause: c.cause(), ReadOnly: c.api.readOnly,
		Routes: announce.Table(c.table), WithdrawDelay: c.delay()}
}

// needsRoot explains an error of a user without rights. Other errors are returned unchanged.
func (c *call) needsRoot(err error) error {
	if os.Geteuid() != 0 && errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("run farmc %s as root: %w", c.verb.name, err)
	}
	return err
}
