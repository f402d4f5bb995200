package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"farmc/cmd/internal/preflight"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// A Status is the state of the farms that were loaded last, from the state directory and the kernel. It is the output
// of farmc status --json.
type Status struct {
	Rules   Rules        `json:"rules"`
	Pending []string     `json:"pending"` // changes in the files that are not applied, one sentence each
	Faulty  bool         `json:"faulty"`  // the files have faults
	Faults  []Fault      `json:"faults"`
	Blocked string       `json:"barred"` // why apply would not load the files: a hold or a pending trial; "": it would
	Farms   []FarmStatus `json:"farms"`  // sorted by name

	Findings preflight.Findings `json:"findings"` // what keeps the farms from working now
}

// A Fault is a fault in the files. Line is 0 for a fault of a whole file.
type Fault struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Text string `json:"text"`
}

// Rules is the state of farmc's rules in the kernel.
type Rules string

// States of the rules.
const (
	RulesLoaded Rules = "loaded" // the rules loaded last
	RulesBooted Rules = "booted" // the rules loaded at boot: the last ones, without rules that need an interface
	RulesOther  Rules = "other"  // other rules of farmc
	RulesNone   Rules = "none"
)

// countersValid reports whether the counters in the kernel belong to the farms loaded last.
func (r Rules) countersValid() bool { return r == RulesLoaded || r == RulesBooted }

// A FarmStatus is the state of a farm. HeldBack is empty if the kernel does not have the farm's rules.
type FarmStatus struct {
	Name     string            `json:"name"`
	File     string            `json:"file"`
	Mode     string            `json:"mode"`
	State    string            `json:"state"`
	Listen   []string          `json:"listen"`
	Backends []BackendStatus   `json:"backends"`
	HeldBack map[string]uint64 `json:"heldBack"` // packets denied or over a limit, by reason
	Banned   []BanStatus       `json:"banned"`   // sorted by the time left
}

// A BackendStatus is the state of a backend. Open and Served are nil if they are unknown.
type BackendStatus struct {
	Name    string   `json:"name"`
	Address []string `json:"address"`
	Port    uint16   `json:"port,omitempty"`
	Source  []string `json:"source,omitempty"` // of each address, in mode snat: the source that it sees, or masquerade
	State   string   `json:"state"`            // up, drain, down, or standby: up, but without a share
	Share   float64  `json:"share"`            // of new connections or packets, 0 to 1
	Open    *int     `json:"open"`             // open tracked connections
	Served  *uint64  `json:"served"`           // in Unit, since the rules were loaded
	Unit    string   `json:"counts"`           // connections or packets
}

// A BanStatus is a banned client.
type BanStatus struct {
	Client string  `json:"client"`
	Left   float64 `json:"left"` // seconds; 0: forever
}

// ErrNothingLoaded reports an empty state directory.
var ErrNothingLoaded = errors.New("no farms have been loaded: run farmc apply")

// errUnknown reports a state directory without the source files of the last load.
var errUnknown = errors.New("the state directory lacks the files of the last load: run farmc apply")

// Status returns the state of one farm, or of all if name is "". With an error the status holds the farms as far as
// they are known.
func (e *Engine) Status(ctx context.Context, name string) (Status, error) {
	defer e.exclusive()()
	last, c, err := e.lastLoaded()
	if err != nil {
		return Status{Rules: RulesNone, Pending: []string{}, Faults: []Fault{}, Farms: []FarmStatus{},
			Findings: preflight.Findings{}}, err
	}
	var s Status
	if s.Rules, err = e.rules(ctx, last); err != nil {
		return Status{}, err
	}
	now := e.compile()
	s.pending(last, now, name)
	blocked, err := e.blocked(now)
	if err != nil {
		return Status{}, err
	}
	if blocked != nil {
		s.Blocked = blocked.Error()
	}
	if name != "" {
		if _, err := findFarm(c, name); err != nil {
			return Status{}, err
		}
	}
	for _, f := range c.script.Farms {
		if name == "" || f.Name == name {
			s.Farms = append(s.Farms, newFarmStatus(f))
		}
	}
	s.addSources(c.script.Farms, last.Routes)
	s.Findings = e.findingsOf(ctx, c.script.Farms, name)
	if !s.Rules.countersValid() {
		return s, nil
	}
	return s, errors.Join(e.readServed(ctx, &s, c.script, name), e.readHeldBack(ctx, &s, c.script),
		countConnections(ctx, &s, c.script.Farms))
}

// findingsOf returns the findings about one farm, or about all if name is "".
func (e *Engine) findingsOf(ctx context.Context, farms []*farm.Farm, name string) preflight.Findings {
	found := slices.DeleteFunc(e.Findings(ctx, farms).Without(preflight.Notes), func(f preflight.Finding) bool {
		return name != "" && len(f.Farms) > 0 && !slices.Contains(f.Farms, name)
	})
	return append(preflight.Findings{}, found...) // JSON has [] for no findings
}

// lastLoaded returns the record of the last load and its farms.
func (e *Engine) lastLoaded() (LastLoad, *compilation, error) {
	last, err := e.Store.Loaded()
	switch {
	case err != nil:
		return last, nil, err
	case last.Script == nil:
		return last, nil, ErrNothingLoaded
	}
	if c := e.compileKept(sourcesFile, last.Digest); c != nil {
		return last, c, nil
	}
	return last, nil, errUnknown
}

func (e *Engine) rules(ctx context.Context, last LastLoad) (Rules, error) {
	holds, err := e.Nft.Loaded(ctx)
	switch {
	case err != nil:
		return "", err
	case holds == "":
		return RulesNone, nil
	case holds == last.Digest:
		return RulesLoaded, nil
	case holds == last.Boot:
		return RulesBooted, nil
	}
	return RulesOther, nil
}

// pending sets the changes in the files of one farm, or of all.
func (s *Status) pending(last LastLoad, now *compilation, name string) {
	s.Pending, s.Faults = []string{}, []Fault{}
	for _, d := range now.diagnostics {
		if d.Severity == diag.Fault {
			s.Faults = append(s.Faults, Fault{d.Place.File, d.Place.Line, d.Message})
		}
	}
	if s.Faulty = now.script == nil || now.diagnostics.Faulty(); s.Faulty {
		return
	}
	for _, change := range farm.Changes(last.Farms, farm.Describe(now.script.Farms)) {
		if name == "" || strings.HasPrefix(change, name+": ") {
			s.Pending = append(s.Pending, change)
		}
	}
}

// findFarm returns a farm of the last load.
func findFarm(c *compilation, name string) (*farm.Farm, error) {
	for _, f := range c.script.Farms {
		if f.Name == name {
			return f, nil
		}
	}
	return nil, fmt.Errorf("no farm %s is loaded", name)
}

func newFarmStatus(f *farm.Farm) FarmStatus {
	s := FarmStatus{Name: f.Name, File: f.Place.File, Mode: string(f.Mode), State: "up", Listen: f.Listening(),
		Backends: []BackendStatus{}, HeldBack: map[string]uint64{}, Banned: []BanStatus{}}
	if f.Down {
		s.State = "down"
	}
	shares, unit := f.Shares(), "packets"
	if f.Tracked() {
		unit = "connections"
	}
	for _, b := range f.Backends {
		state := string(b.State)
		if b.State == farm.Up && shares[b.Name] == 0 && !f.Down {
			state = "standby"
		}
		s.Backends = append(s.Backends, BackendStatus{Name: b.Name, Address: strings.Split(b.Address.String(), ", "),
			Port: b.Port, State: state, Share: shares[b.Name], Unit: unit})
	}
	return s
}
