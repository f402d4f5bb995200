package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"farmc/cmd/internal/checker"
	"farmc/cmd/internal/systemd"
)

// healthOptions are the options of farmc health.
type healthOptions struct {
	socket, keyFile, name string
	dryRun                bool
}

// Defaults of farmc health.
const (
	defaultSocket = "/run/farmc/api.sock"
	defaultKey    = "/etc/farmc/health.key"
	healthName    = "health" // of the checker in farmc watch --health
)

var healthVerb = verb{
	name:    "health",
	summary: "check backends all the time, and tell farmc watch",
	about: `Checks the backends of all farms with [health], and says changes of their health to farmc watch
over the API, which takes unhealthy backends out; see farmc-health(7). Reads the farms from the
API as well, so it needs no file of a farm. The user root needs no key on the socket; others
need one of role health. While farmc watch is away, checks go on, and words wait.
farmc-health.service runs it.

With --dry-run, prints the first result of each backend and each change, and says nothing to
farmc watch.`,
	bare: true,
	flags: func(c *call) {
		c.set.StringVar(&c.health.socket, "socket", defaultSocket, "`socket` of the API")
		c.set.StringVar(&c.health.keyFile, "key", "",
			"`file` with the key (default: the credential health.key of systemd,\n"+"else "+defaultKey+" if it exists)")
		c.set.StringVar(&c.health.name, "name", "",
			"`name` of this checker in its words (default: the name of this machine)")
		c.set.BoolVar(&c.health.dryRun, "dry-run", false, "check and print, and say nothing to farmc watch")
		c.set.BoolVarP(&c.quiet, "quiet", "q", false, "print no changes of health")
	},
	run: runHealth,
}

func runHealth(ctx context.Context, c *call) int {
	name, err := c.health.checkerName()
	if err != nil {
		return c.usageError("%v", err)
	}
	manager, err := systemd.Dial()
	if err != nil {
		c.printError(err)
	}
	client := checker.NewClient(c.health.socket, name, c.health.key)
	check := &checker.Checker{Farms: client, Listen: client, Log: c.always, Turned: c.logTurn, Poll: farmsPoll}
	if c.health.dryRun {
		check.Listen, check.Turned = deaf{}, c.printTurn
	}
	manager.Ready("")
	go c.reportChecks(ctx, check, manager)
	check.Run(ctx)
	manager.Stopping()
	return exitOK
}

// farmsPoll is the time between two looks at the farms.
const farmsPoll = time.Second

// checkerName returns the name of the checker in its words.
func (o healthOptions) checkerName() (string, error) {
	if o.name != "" {
		return o.name, checker.ValidName(o.name)
	}
	host, err := os.Hostname()
	if err != nil || checker.ValidName(host) != nil {
		return healthName, nil
	}
	return host, nil
}

// key reads the key of the API. Without a file it is "": root needs none.
func (o healthOptions) key() (string, error) {
	path, isDefault := o.keyFile, false
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); path == "" && dir != "" {
		path = filepath.Join(dir, "health.key")
	} else if path == "" {
		path, isDefault = defaultKey, true
	}
	text, err := os.ReadFile(path)
	if isDefault && errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}

// deaf hears no words.
type deaf struct{}

func (deaf) Say(context.Context, []checker.Word) (map[int]error, error) { return nil, nil }

// always prints a line to stderr, also with --quiet.
func (c *call) always(format string, args ...any) {
	fmt.Fprintln(c.stderr, oneLine(fmt.Sprintf(format, args...)))
}

// logTurn logs a change of health. A backend that is healthy at the start is no change.
func (c *call) logTurn(t checker.Turn) {
	if !t.First || !t.Healthy {
		c.log("%s is %s: %s", t.Name, verdictOf(t.Result), t.Reason)
	}
}

// printTurn prints the first verdict about a backend, and changes.
func (c *call) printTurn(t checker.Turn) {
	fmt.Fprintf(c.stdout, "%s is %s: %s; %s\n", t.Name, verdictOf(t.Result), t.Reason, shortTime(t.Took))
}

// Times of the reports about checks.
const (
	reportPause = 10 * time.Second
	lateStart   = 100 * time.Millisecond // of 99 percent of the checks: this process has too much to do
	fewStarts   = 100
)

// reportChecks gives the numbers of checks to systemd, and logs the beginning and the end of a time in which checks
// start late.
func (c *call) reportChecks(ctx context.Context, check *checker.Checker, manager systemd.Notifier) {
	late := false
	for tick := time.NewTicker(reportPause); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		starts, within := check.Started.Take(0.99)
		n := check.Count()
		manager.Status(fmt.Sprintf("%d backends are checked, %d are unhealthy; %d checks in %s, 99 %% of them at most "+
			"%s late", n.Checked, n.Unhealthy, starts, reportPause, within))
		if isLate := starts >= fewStarts && within > lateStart; isLate != late {
			late = isLate
			c.logLate(late, within)
		}
	}
}

func (c *call) logLate(late bool, within time.Duration) {
	if late {
		c.always("checks start late, %s of them by more than %s: make intervals longer, or move other work away",
			"1 %", within)
		return
	}
	c.always("checks start in time again")
}
