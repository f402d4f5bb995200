package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"farmc/cmd/internal/explain"
	"farmc/cmd/internal/live"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

var explainVerb = verb{
	name:    "explain",
	args:    "SERVICE",
	summary: "tell what happens to packets to a service",
	about: `Tells which farm the first packet of a client to the service belongs to, and by which rule; what
stops the client: a list, with its line, a ban, a limit, the farm's state, rules of other programs;
which backend gets it, or the backends that can, with their shares; and how the reply goes.
SERVICE is ADDRESS:PORT[/PROTOCOL], of tcp by default, or ADDRESS/PROTOCOL for a protocol without ports.

explain speaks of the farms that are loaded, or of the files if none are. It computes hashes as the
kernel does, and asks the kernel for bans, remembered clients and open connections.

Exit status: 0, or 1 if something stops the packet or no farm takes it.`,
	flags: func(c *call) {
		c.set.StringVar(&c.from, "from", "", "the client's `address`, or its address and port: 198.51.100.7:40000")
		c.set.StringVar(&c.in, "in", "", "the `interface` by which the packet comes in")
		c.set.BoolVar(&c.json, "json", false, "print JSON")
	},
	run: explainPacket,
}

func explainPacket(ctx context.Context, c *call) int {
	q, err := c.question()
	if err != nil {
		return c.usageError("%v", err)
	}
	e := c.engine()
	d := e.Disagreement(ctx)
	farms, ok := c.farmsToExplain(e)
	if !ok {
		return exitFailure
	}
	x := e.Explain(ctx, farms, d, q)
	if x.RulesUnread != nil {
		c.log("it is not known whether the kernel has these rules: %v", c.needsRoot(x.RulesUnread))
	}
	if !x.Found {
		c.showNowhere(x, farms)
		return exitFailure
	}
	if x.Unread != nil {
		c.log("the kernel does not tell bans, remembered clients or connections: %v", c.needsRoot(x.Unread))
	}
	x.List = c.listLine(x.Word, q.Client.Addr())
	return c.showAnswer(x)
}

// showNowhere tells that no farm takes the packet.
func (c *call) showNowhere(x live.Explanation, farms []*farm.Farm) {
	c.log("no farm takes %s", x.Packet)
	for _, f := range farms {
		if slices.Contains(x.Elsewhere, f.Name) {
			c.log("farm %s takes it on %s: interfaces, %s", f.Name, strings.Join(f.Interfaces, ", "),
				x.BoundBy[slices.Index(x.Elsewhere, f.Name)])
		}
	}
	for _, s := range x.Stops {
		c.log("%s; run farmc apply", s.Reason)
	}
	if x.Files != "" {
		c.log("%s", diag.Printable(x.Files))
	}
}

// question reads the command line.
func (c *call) question() (q explain.Question, err error) {
	if len(c.args) != 1 {
		return q, errors.New("explain needs a service, such as farmc explain 192.0.2.10:80 --from 198.51.100.7")
	}
	if q.Service, q.Protocol, err = explain.ParseService(c.args[0]); err != nil {
		return q, err
	}
	if c.from != "" {
		if q.Client, err = explain.ParseClient(c.from); err != nil {
			return q, fmt.Errorf("--from: %w", err)
		}
		if q.Client.Addr().Is4() != q.Service.Addr().Is4() {
			return q, fmt.Errorf("--from: %s is not of the family of %s", q.Client.Addr(), q.Service.Addr())
		}
	}
	q.Interface = c.in
	if c.in != "" {
		if _, err = net.InterfaceByName(c.in); err != nil {
			return q, fmt.Errorf("--in: this machine has no interface %q", c.in)
		}
	}
	return q, nil
}

// farmsToExplain returns the farms that are loaded. If none are known, it returns those of the files.
func (c *call) farmsToExplain(e *live.Engine) ([]*farm.Farm, bool) {
	farms, err := e.LoadedFarms()
	if err == nil {
		return farms, true
	}
	c.log("%v; the answer is about the files", c.needsRoot(err))
	script, diagnostics := e.Compile()
	if script == nil {
		c.printDiagnostics(diagnostics)
		return nil, false
	}
	return script.Farms, true
}

// listLine returns the file and the line of a list that has a client; "" for any other word of access.
func (c *call) listLine(word string, client netip.Addr) string {
	name, isList := strings.CutPrefix(word, "@")
	if !isList {
		return ""
	}
	for _, dir := range slices.Backward(c.farmDirs()) {
		text, err := fs.ReadFile(dir.FS, name+".list")
		if line := farm.LineOf(text, client); err == nil && line > 0 {
			return fmt.Sprintf("%s:%d", filepath.Join(dir.Path, name+".list"), line)
		}
	}
	return ""
}

// showAnswer prints the answer, and returns the exit status.
func (c *call) showAnswer(x live.Explanation) int {
	if c.json {
		text, err := json.MarshalIndent(x, "", "  ")
		if err != nil {
			c.printError(err)
			return exitFailure
		}
		fmt.Fprintf(c.stdout, "%s\n", text)
	} else {
		c.printAnswer(x.Answer)
		showFact(c.stdout, "files", nonEmpty(x.Files))
	}
	if x.Stopped() {
		return exitFailure
	}
	return exitOK
}

func (c *call) printAnswer(a explain.Answer) {
	w := c.stdout
	fmt.Fprintln(w, diag.Printable(a.Packet))
	for _, s := range a.Stops {
		c.showFault("stopped", slices.Concat([]string{s.Reason}, nonEmpty(s.Place), nonEmpty(s.Remedy)))
	}
	for _, f := range a.Findings {
		if lines := slices.Concat([]string{f.Text}, nonEmpty(f.Place), nonEmpty(f.Remedy)); f.Stopped {
			c.showFault("stopped", lines)
		} else {
			showFact(w, "machine", lines)
		}
	}
	showFact(w, "farm", []string{a.Farm + ", mode " + a.Mode, a.Place + ": listen " + a.Listen + ", " + a.Precedes})
	showFact(w, "precedes", a.Others)
	showFact(w, "down", a.Down)
	var elsewhere []string
	for i, name := range a.Elsewhere {
		elsewhere = append(elsewhere, fmt.Sprintf("%s, on other interfaces: %s", name, a.BoundBy[i]))
	}
	showFact(w, "elsewhere", elsewhere)
	if a.Admission != "" {
		showFact(w, "client", append([]string{a.Admission}, nonEmpty(a.List)...))
	}
	showFact(w, "limits", a.Limits)
	showFact(w, "chosen by", nonEmpty(a.Chosen))
	var backends []string
	for _, b := range a.Backends {
		backends = append(backends, fmt.Sprintf("%s  %s  %.3g %%  %s", b.Name, b.Address, 100*b.Share, b.Place))
		if b.Here {
			backends = append(backends, b.Name+": this machine")
		}
		if b.State != "" {
			backends = append(backends, b.Name+": "+b.State)
		}
	}
	showFact(w, "backends", backends)
	showFact(w, "idle", a.Idle)
	showFact(w, "reply", []string{a.Reply})
}

func nonEmpty(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}
