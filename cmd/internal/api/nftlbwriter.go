package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/machine"
	"farmc/cmd/internal/manage"
	"farmc/cmd/internal/nftlb"
	"farmc/compiler/farm"
)

// An nftlbWriter does the changes of nftlb's API. Requests that wait are done together: each sees the outcome of those
// before it, and all of them come in one load.
type nftlbWriter struct {
	server  *Server
	choices NFTLB

	mu      sync.Mutex
	waiting []*nftlbCall
	working bool

	objects nftlbObjects
}

func newNFTLBWriter(s *Server, choices NFTLB) *nftlbWriter {
	return &nftlbWriter{server: s, choices: choices}
}

// An nftlbCall is a request that waits for its turn.
type nftlbCall struct {
	nftlb.Request
	by   string
	done chan nftlbReply
}

// An nftlbReply is the outcome of a request.
type nftlbReply struct {
	text     string
	warnings []live.FarmFault
	err      error
}

// nftlbPatience is the longest wait for a load: clients give up after 3 seconds.
const nftlbPatience = 2500 * time.Millisecond

// write does a request when its turn comes.
func (n *nftlbWriter) write(r *http.Request, request nftlb.Request) nftlbReply {
	call := &nftlbCall{request, keyOf(r.Context()).Name, make(chan nftlbReply, 1)}
	n.mu.Lock()
	n.waiting = append(n.waiting, call)
	if !n.working {
		n.working = true
		go n.work()
	}
	n.mu.Unlock()
	patience := time.NewTimer(nftlbPatience)
	defer patience.Stop()
	select {
	case reply := <-call.done:
		return reply
	case <-patience.C:
	case <-r.Context().Done():
	}
	if n.withdraw(call) {
		return nftlbReply{err: live.ErrBusy}
	}
	return <-call.done
}

// withdraw takes a call back, and reports whether it still waited.
func (n *nftlbWriter) withdraw(call *nftlbCall) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.Index(n.waiting, call)
	if i >= 0 {
		n.waiting = slices.Delete(n.waiting, i, i+1)
	}
	return i >= 0
}

// work does rounds until no request waits.
func (n *nftlbWriter) work() {
	for {
		n.mu.Lock()
		round := n.waiting
		n.waiting = nil
		n.working = len(round) > 0
		n.mu.Unlock()
		if len(round) == 0 {
			return
		}
		n.round(round)
	}
}

// round does requests in one load. If the load fails, each is done alone.
func (n *nftlbWriter) round(calls []*nftlbCall) {
	before, err := n.state()
	if err != nil {
		answer(calls, nftlbReply{err: err})
		return
	}
	after, good, answers := before, []*nftlbCall{}, map[*nftlbCall]nftlb.Answer{}
	for _, c := range calls {
		a := after.Do(c.Request)
		if !a.OK() {
			c.done <- nftlbReply{err: problem{status: a.Status, message: a.Text}}
			continue
		}
		after, answers[c] = a.State, a
		good = append(good, c)
	}
	if len(good) == 0 {
		return
	}
	notes, warnings, err := n.save(before, after, good[0].by)
	if err != nil && len(good) > 1 {
		for _, c := range good {
			n.round([]*nftlbCall{c})
		}
		return
	}
	for _, c := range good {
		c.done <- nftlbReply{answers[c].Text + notes, append(n.warnings(answers[c]), warnings...), err}
	}
}

// warnings returns the warnings of an answer. Lenient clients get the words of nftlb alone.
func (n *nftlbWriter) warnings(a nftlb.Answer) (out []live.FarmFault) {
	for _, w := range a.Warnings {
		if !n.choices.Lenient {
			out = append(out, live.FarmFault{Farm: w.Farm, Key: w.Key, Message: w.What})
		}
	}
	return out
}

func answer(calls []*nftlbCall, r nftlbReply) {
	for _, c := range calls {
		c.done <- r
	}
}

// save writes the changes from one state to another, and loads them. Lenient choices set farms aside that farmc
// refuses, with a note.
func (n *nftlbWriter) save(before, after *nftlb.State, by string) (notes string, warnings []live.FarmFault, err error) {
	after = after.Clone()
	after.FindDevices(machine.InterfaceTo)
	for {
		changes := before.Changes(after, n.choices.Marks)
		if !changes.Any() {
			return notes, nil, nil
		}
		writes, err := n.writes(changes, after)
		if err != nil {
			return "", nil, err
		}
		w := manage.Together(writes)
		w.Patience = nftlbPatience
		result := n.server.Writer.Write(context.Background(), by, w)
		if result.Err == nil {
			if n.choices.Lenient {
				return notes, nil, nil
			}
			return notes, append(n.lost(changes, after), result.Warnings...), nil
		}
		more := n.setAside(after, changes, result)
		if more == "" {
			return "", nil, n.problem(changes, result)
		}
		notes += more
	}
}

// setAside sets the farms aside that have the faults of a write, and returns a note; "" if that is no way.
func (n *nftlbWriter) setAside(after *nftlb.State, changes nftlb.Changes, r live.WriteResult) (note string) {
	if !n.choices.Lenient || len(r.Faults) == 0 {
		return ""
	}
	for _, f := range r.Faults {
		if changes.Farm(f.Farm) && after.SetAside(f.Farm) {
			note += fmt.Sprintf(". Farm '%s' is not loaded: %s", f.Farm, f.Message)
		}
		for _, name := range inConflict(changes, r, f) {
			if after.SetAside(name) {
				note += fmt.Sprintf(". Farm '%s' is not loaded: farm %s: %s", name, f.Farm, f.Message)
			}
		}
	}
	return note
}

// inConflict returns the changed farms because of which another farm has a fault.
func inConflict(changes nftlb.Changes, r live.WriteResult, f live.FarmFault) []string {
	if f.Farm == "" || changes.Farm(f.Farm) {
		return nil
	}
	return slices.DeleteFunc(r.Concerned(f), func(name string) bool { return !changes.Farm(name) })
}

// problem returns the problem of a write. Faults of farms that the client did not name are a conflict with them.
func (n *nftlbWriter) problem(changes nftlb.Changes, r live.WriteResult) error {
	p := problem{status: writeStatus(r.Err), message: r.Err.Error(), faults: slices.Clone(r.Faults)}
	if p.status == 0 {
		return r.Err
	}
	if len(p.faults) == 0 {
		return p
	}
	conflict := false
	for i, f := range p.faults {
		if changes.Farm(f.Farm) {
			if !slices.Contains(r.Standing, f) { // the place is in a text that the client has not seen
				p.faults[i].File, p.faults[i].Line, p.faults[i].Column = "", 0, 0
			}
			conflict = conflict || r.InConflict(f.Farm)
		}
		conflict = conflict || len(inConflict(changes, r, f)) > 0
	}
	if p.status == http.StatusBadRequest {
		p.message = "error parsing buffer. " + p.faults[0].Message
		if conflict {
			p.status = http.StatusConflict
		}
	}
	return p
}

// lost returns a warning for each attribute of changed farms that connections would notice, and that has no effect.
func (n *nftlbWriter) lost(changes nftlb.Changes, after *nftlb.State) (out []live.FarmFault) {
	for _, c := range changes.Farms {
		f := after.Farm(c.Name)
		if f == nil {
			continue
		}
		_, losses := after.Document(f, n.choices.Marks)
		for _, l := range losses {
			if l.Matters {
				out = append(out, live.FarmFault{Farm: c.Name, Key: l.Key, Message: l.What, Hint: l.Instead})
			}
		}
	}
	if changes.Loose {
		out = append(out, idleFilters(after)...)
	}
	return out
}

// idleFilters returns a warning for each address with policies that no farm has, and for which none could be made.
func idleFilters(s *nftlb.State) (out []live.FarmFault) {
	for _, a := range s.Idle() {
		out = append(out, live.FarmFault{Key: "policies",
			Message: "address " + a.Name + " has policies that have no effect",
			Hint:    "an address with ports and a blacklist, or a farm in mode local"})
	}
	return out
}

// writes returns the writes of changes.
func (n *nftlbWriter) writes(changes nftlb.Changes, after *nftlb.State) (out []live.Write, err error) {
	now, err := n.server.current()
	if err != nil {
		return nil, err
	}
	for _, c := range changes.Lists {
		w, err := listWrite(c, now)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	for _, c := range changes.Farms {
		if !farm.IsName(c.Name) {
			return nil, badName(c.Name)
		}
		if c.ByPerson {
			if err := n.admit(c, now); err != nil {
				return nil, err
			}
		}
		more, err := n.farmWrites(c)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	out = append(out, n.filterWrites(changes, now)...)
	if changes.Loose {
		out = append(out, manage.PutFile(n.file(looseFile), looseFile, after.Loose()))
	}
	return out, nil
}

// listWrite returns the write of a list. In the list of a person entries come and go, and the other lines stay.
func listWrite(c nftlb.ListChange, now *live.Snapshot) (live.Write, error) {
	if !farm.IsName(c.Name) {
		return live.Write{}, badName(c.Name)
	}
	change := manage.ListChange{Name: c.Name, Whole: c.Text, Delete: c.Text == nil}
	if c.ByPerson {
		text, file, _ := now.List(c.Name)
		switch {
		case c.Text == nil:
			return live.Write{}, byPerson(file)
		case c.Attribute:
			return live.Write{}, byPerson(file + ", which has no place for attributes")
		}
		change = manage.ListChange{Name: c.Name}
		change.Remove, change.Add = nftlb.Edits(text, c.Elements)
	}
	return change.Write(), nil
}

// admit refuses changes of a farm of a person that its file would not survive.
func (n *nftlbWriter) admit(c nftlb.FarmChange, now *live.Snapshot) error {
	file := n.file(c.Name + asideEnding)
	if r, is := now.Reading(c.Name); is {
		file = r.Sources()[0]
	}
	switch {
	case c.After == nil, c.WasAside:
		return byPerson(file)
	case c.Aside:
		return byPerson(file + ", which would have no address left")
	}
	return nil
}

// byPerson is the problem of a request that would remove what a person wrote.
func byPerson(what string) error {
	return problem{status: http.StatusConflict, message: "a person wrote " + what}
}

// filterWrites returns the writes of the farms that filter for addresses. One that a person removed stays away until it
// changes.
func (n *nftlbWriter) filterWrites(changes nftlb.Changes, now *live.Snapshot) (out []live.Write) {
	always := func(json.RawMessage) error { return nil }
	for _, c := range changes.Filters {
		_, exists := now.Reading(c.Name)
		switch {
		case c.After != nil:
			out = append(out, manage.PutFarm(c.Name, c.After, always))
		case exists:
			out = append(out, manage.DeleteFarm(c.Name, always))
		}
	}
	return out
}

func badName(name string) error {
	return problem{status: http.StatusBadRequest, message: fmt.Sprintf("error parsing buffer. '%s' is no name: %s",
		name, farm.NamingRule)}
}

func (n *nftlbWriter) file(name string) string { return filepath.Join(n.choices.Dir, name) }

// farmWrites returns the writes of one farm: of its file, and of the one that farmc does not read.
func (n *nftlbWriter) farmWrites(c nftlb.FarmChange) (out []live.Write, err error) {
	read := func(d edit.Document, aside bool) bool { return d != nil && !aside }
	always := func(json.RawMessage) error { return nil }
	var w live.Write
	switch was, is := read(c.Before, c.WasAside), read(c.After, c.Aside); {
	case was && is:
		w = manage.PatchFarm(c.Name, nftlb.Patch(c.Before, c.After), always)
	case is:
		w = manage.PutFarm(c.Name, c.After, always)
	case was:
		w = manage.DeleteFarm(c.Name, always)
	}
	if w.Changes != nil {
		out = append(out, w)
	}
	if name := c.Name + asideEnding; c.WasAside || c.Aside {
		var text []byte
		if c.Aside && c.After != nil {
			var faults []edit.Fault
			if text, faults = edit.Write(c.After); len(faults) > 0 {
				return nil, manage.Faulty{Faults: faults}
			}
		}
		out = append(out, manage.PutFile(n.file(name), name, text))
	}
	return out, nil
}

// loaded reports whether the kernel can have a farm.
func (n *nftlbWriter) loaded(name string) bool {
	now, err := n.server.current()
	return err == nil && now.Loaded(name)
}
