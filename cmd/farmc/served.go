package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"farmc/cmd/internal/delegate"
	"farmc/cmd/internal/live"
	"farmc/compiler/diag"
)

// servedVerbs are the commands that a running farmc watch runs for another process, because it has all farms compiled.
// Their results are the same without it.
func servedVerbs() []verb {
	return []verb{applyVerb, confirmVerb, rollbackVerb, drainVerb, downVerb, upVerb, statusVerb, banVerb, unbanVerb}
}

// servedVerb returns the verb of a name if farmc watch runs it.
func servedVerb(name string) (verb, bool) {
	i := slices.IndexFunc(servedVerbs(), func(v verb) bool { return v.name == name })
	if i < 0 {
		return verb{}, false
	}
	return servedVerbs()[i], true
}

// isServed reports whether farmc watch runs the whole call. Of apply --confirm it runs the load alone, and status
// --watch needs the terminal.
func (c *call) isServed() bool {
	_, served := servedVerb(c.verb.name)
	return served && c.watcher == nil && c.confirm == 0 && !c.watch
}

// askWatcher has farmc watch run the call, and returns false if this process must run it.
func (c *call) askWatcher(ctx context.Context, args []string, stdout io.Writer) (status int, ran bool) {
	r := delegate.Request{Build: version, Options: c.options.common(), Command: c.verb.name,
		Args: append([]string{"--color", c.when()}, args...)}
	status, err := delegate.Ask(ctx, c.stateDir, r, stdout, c.stderr)
	switch {
	case errors.Is(err, delegate.ErrDeclined):
		return 0, false
	case err != nil:
		c.printError(err)
		return exitFailure, true
	}
	return status, true
}

// when returns the value of --color that has the same effect in a process without this terminal.
func (c *call) when() string {
	shown := c.stderr
	if c.verb.name == statusVerb.name {
		shown = c.stdout
	}
	if c.palette(shown) == (diag.Palette{}) {
		return "never"
	}
	return "always"
}

// common returns the options in which farmc watch and a command that it runs must agree.
func (o *options) common() string {
	var dirs []string
	for _, dir := range append([]string{o.stateDir}, o.dirPaths()...) {
		absolute, err := filepath.Abs(dir)
		if err != nil {
			return err.Error()
		}
		dirs = append(dirs, absolute)
	}
	text, err := json.Marshal(struct {
		Dirs              []string
		Nft               string
		Lenient, Insecure bool
		Table             uint32
	}{dirs, o.nft, o.lenientLists, o.insecure, o.table})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// serve runs commands of other processes until ctx ends.
func (w *watcher) serve(ctx context.Context) {
	listener, err := delegate.Listen(w.stateDir)
	if err != nil {
		w.log("warning: farmc apply and farmc status do not use this process: %v", err)
		return
	}
	w.services.Go(func() {
		delegate.Serve(ctx, listener, w.runFor)
		os.Remove(filepath.Join(w.stateDir, delegate.Name))
	})
}

// runFor runs the command of another process.
func (w *watcher) runFor(ctx context.Context, r delegate.Request, stdout, stderr io.Writer) (status int, runs bool) {
	v, served := servedVerb(r.Command)
	if !served || r.Build != version || r.Options != w.options.common() {
		return 0, false
	}
	if v.name == statusVerb.name && w.reader.Current() == nil { // the first load can take a minute
		return 0, false
	}
	c := &call{verb: v, stdout: &output{Writer: stdout}, stderr: stderr, watcher: w}
	if v.name != statusVerb.name {
		journal := &lineLogger{log: w.log, command: v.name}
		defer journal.flush()
		c.stderr = io.MultiWriter(journal, stderr) // in this order: who sees the output finds it in the log
	}
	status = c.run(ctx, r.Args)
	if v.name != statusVerb.name {
		w.publishNow()
		w.wake()
	}
	return status, true
}

// wake has the watcher look at the files and the rules after a command.
func (w *watcher) wake() {
	select {
	case w.served <- struct{}{}:
	default: // it has not looked since the command before
	}
}

// engineFor returns the engine of the watcher for a command. The time for nft and the one of withdrawals are those of
// the watcher, unless the command has its own.
func (w *watcher) engineFor(c *call) *live.Engine {
	e := w.engine.For(c.log, c.cause(), c.isolate)
	if c.set.Changed("nft-limit") {
		e.Nft.Limit = c.nftLimit
	}
	if c.set.Changed("withdraw-delay") {
		e.WithdrawDelay = c.withdrawDelay
	}
	return e
}

// A lineLogger writes the lines of a command to the log of the watcher.
type lineLogger struct {
	log     func(format string, args ...any)
	command string
	rest    []byte
}

func (l *lineLogger) Write(text []byte) (int, error) {
	l.rest = append(l.rest, text...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(text), nil
		}
		l.rest = rest
		l.log("%s: %s", l.command, colours.ReplaceAll(line, nil))
	}
}

// colours matches the escape sequences of diag.Terminal, which no log needs.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

func (l *lineLogger) flush() {
	if len(l.rest) > 0 {
		l.log("%s: %s", l.command, colours.ReplaceAll(l.rest, nil))
	}
}
