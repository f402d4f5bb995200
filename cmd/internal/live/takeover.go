package live

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/preflight"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// refuseTakenPorts adds a fault for each farm that would take a port on which a program of this machine listens, such
// as its sshd. A port that a loaded farm takes already is no fault: the program came later, and its administrator can
// choose. It reports whether it added a fault; a second call for a compilation adds none.
func (e *Engine) refuseTakenPorts(ctx context.Context, c *compilation) bool {
	if c.script == nil || c.scriptOnly || c.portsChecked {
		return false
	}
	c.portsChecked = true
	taken, err := e.newlyTaken(ctx, c.script.Farms)
	if err != nil {
		e.Log("warning: cannot list the ports on which this machine listens: %v", err)
		return false
	}
	taken = preflight.NamePrograms(taken)
	faults := takenPortFaults(taken, e.lastFarms(taken))
	c.diagnostics, c.faults = append(c.diagnostics, faults...), append(c.faults, faults...)
	c.waitsForPorts = c.waitsForPorts || len(faults) > 0
	return len(faults) > 0
}

// newlyTaken returns the ports that the farms may not take. A socket of UDP that can belong to a short question counts
// if it is still there a second later.
func (e *Engine) newlyTaken(ctx context.Context, farms []*farm.Farm) ([]preflight.TakenPort, error) {
	taken, err := e.refusedPorts(farms)
	if err != nil || !slices.ContainsFunc(taken, preflight.TakenPort.Ephemeral) {
		return taken, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Second):
	}
	again, err := e.refusedPorts(farms)
	return slices.DeleteFunc(taken, func(t preflight.TakenPort) bool {
		return t.Ephemeral() && !slices.ContainsFunc(again,
			func(o preflight.TakenPort) bool { return o.Socket == t.Socket })
	}), err
}

func (e *Engine) refusedPorts(farms []*farm.Farm) ([]preflight.TakenPort, error) {
	taken, err := preflight.TakenPorts(farms)
	taken = slices.DeleteFunc(taken, func(t preflight.TakenPort) bool { return !t.Refused() })
	if err != nil || len(taken) == 0 {
		return nil, err
	}
	last, c, _ := e.lastLoaded()
	switch {
	case c != nil:
		return preflight.Untaken(taken, c.script.Farms)
	case last.Script == nil:
		return taken, nil
	}
	// The files of the last load are not valid for this version of farmc. A farm of the same name counts as loaded.
	return slices.DeleteFunc(taken, func(t preflight.TakenPort) bool {
		_, loaded := last.Farms[t.Farm.Name]
		return loaded || last.Farms == nil
	}), nil
}

// lastFarms returns the loaded farms that served the ports from this machine, by the name of a port.
func (e *Engine) lastFarms(taken []preflight.TakenPort) map[string]*farm.Farm {
	out := map[string]*farm.Farm{}
	if len(taken) == 0 {
		return out
	}
	if _, c, _ := e.lastLoaded(); c != nil {
		before, _ := preflight.TakenPorts(c.script.Farms)
		for _, t := range before {
			out[t.At.String()+" "+t.Name()] = t.Farm
		}
	}
	return out
}

// takenPortFaults returns a fault for each entry of listen. Where a loaded farm let the program have the port, and is
// gone or changed, the fault names that farm, too, so that --isolate keeps it.
func takenPortFaults(taken []preflight.TakenPort, last map[string]*farm.Farm) (faults diag.Diagnostics) {
	var entries []*farm.Listen
	of := map[*farm.Listen][]preflight.TakenPort{}
	for _, t := range taken {
		if of[t.Listen] == nil {
			entries = append(entries, t.Listen)
		}
		of[t.Listen] = append(of[t.Listen], t)
	}
	for _, l := range entries {
		f := of[l][0].Farm
		d := diag.Diagnostic{Farm: f.Name, Place: l.Place,
			Message: "listen: the farm would take connections of programs on this machine: " + portWords(of[l]),
			Hint:    "take-over = true if that is meant; else leave the port out, or stop the program"}
		for _, t := range of[l] {
			if was := last[t.At.String()+" "+t.Name()]; was != nil && was.Name != f.Name && len(d.Also) == 0 {
				d.Also = []diag.Note{{Place: was.Place, Message: "farm " + was.Name + " left it to the program"}}
			}
		}
		faults = append(faults, d)
	}
	return faults
}

// portWords names up to three ports with their programs.
func portWords(taken []preflight.TakenPort) string {
	const most = 3
	var words []string
	for _, t := range taken {
		if word := fmt.Sprintf("%s (%s)", t.Program, t.Name()); !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	if more := len(words) - most; more > 0 {
		return strings.Join(words[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(words, ", ")
}

// WaitsForPorts reports whether a farm was refused because a program listens on its port. An apply after the program's
// end loads the farm.
func (p *Plan) WaitsForPorts() bool { return p.compilation != nil && p.waitsForPorts }
