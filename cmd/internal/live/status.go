package live

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"farmc/cmd/internal/preflight"
	"farmc/cmd/internal/statedir"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// StatusVersion is the version of the document Status. It rises when a key changes its meaning or goes, and stays when
// a key is added.
const StatusVersion = 1

// A Status is the state of the farms that were loaded last, from the state directory and the kernel. It is the output
// of farmc status --json, whose keys farmc-operations(7) describes. Every key is always there. Lists are never null;
// a number is null if it is not known.
type Status struct {
	Version int       `json:"version"`
	Time    time.Time `json:"time"`
	Rules   Rules     `json:"rules"`
	Load    LoadFacts `json:"load"`
	Agree   bool      `json:"agree"`   // the kernel, the files and the last good script are the same
	ReadAt  time.Time `json:"readAt"`  // when the files were read
	Pending []string  `json:"pending"` // changes in the files that are not applied, one sentence each
	Faults  []Fault   `json:"faults"`  // in the files
	Blocked string    `json:"blocked"` // why apply would not load the files: a hold or a pending trial; "": it would

	Incomplete []string `json:"incomplete"` // files of farms that are not ready, NAME.toml.incomplete

	Farms []FarmStatus `json:"farms"` // in natural order: web2 before web10

	Findings preflight.Findings `json:"findings"` // what keeps the farms from working now

	Hosts []HostStatus `json:"hosts"` // hostnames of backends, by name

	counted *countedScript // of Farms, for SetRates; nil: none
	sample  sample
	earlier sample // of the last status before, if this process made it within a minute
}

// LoadFacts tell which load the kernel should have.
type LoadFacts struct {
	Time   string `json:"time"`   // RFC 3339; "": nothing was loaded
	Cause  string `json:"cause"`  // the command that loaded the farms, such as "farmc apply"; "": unknown
	Digest string `json:"digest"` // SHA-256 of the script
}

// A Fault is a fault in the files. Line and Column are 0 for a fault of a whole file.
type Fault struct {
	Farm    string `json:"farm"` // "": no farm alone
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
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

// ErrNothingLoaded reports an empty state directory.
var ErrNothingLoaded = errors.New("no farms have been loaded: run farmc apply")

// errUnknown reports a state directory without the source files of the last load.
var errUnknown = errors.New("the state directory lacks the files of the last load: run farmc apply")

func newStatus() Status {
	return Status{Version: StatusVersion, Time: time.Now().UTC().Truncate(time.Second), Rules: RulesNone,
		Pending: []string{}, Faults: []Fault{}, Incomplete: []string{}, Hosts: []HostStatus{}, Farms: []FarmStatus{},
		Findings: preflight.Findings{}}
}

// Status returns the state of one farm, or of all if name is "". With an error the status holds the farms as far as
// they are known. Of one farm it counts the persistent clients, too. Rates are unknown until SetRates.
func (e *Engine) Status(ctx context.Context, name string) (Status, error) {
	defer e.exclusive()()
	now := e.compile()
	last, c, err := e.lastLoadedAs(now)
	if err != nil {
		s := newStatus()
		s.setFaults(now)
		s.setIncomplete(e.Dirs, name)
		return s, err
	}
	return e.statusOf(ctx, last, c, now, name)
}

// statusOf is the status of the farms of the last load, whose compilation is c. The files are compiled to now.
func (e *Engine) statusOf(
	ctx context.Context, last statedir.LastLoad, c, now *compilation, name string,
) (Status, error) {
	s := newStatus()
	s.setFaults(now)
	s.setIncomplete(e.Dirs, name)
	var err error
	if s.Rules, err = e.rules(ctx, last); err != nil {
		return newStatus(), err
	}
	s.Load = loadFacts(e.Store, last)
	s.setPending(last, now, name)
	blocked, err := e.blocked(now)
	if err != nil {
		return newStatus(), err
	}
	if blocked != nil {
		s.Blocked = blocked.Error()
	}
	s.Agree = s.Rules == RulesLoaded && len(s.Pending)+len(s.Faults) == 0
	farms := c.script.Farms
	if name != "" {
		f, err := findFarm(c, name)
		if err != nil {
			return newStatus(), fmt.Errorf("%w%s", err, suggestion(name, NamesOf(c.script.Farms)))
		}
		farms = []*farm.Farm{f}
	}
	found := make(chan preflight.Findings, 1)
	go func() { found <- e.findingsOf(ctx, c.script.Farms, name) }() // which asks for thousands of routes
	var listing sync.WaitGroup
	listing.Go(func() {
		s.addFarms(farms, c.sources, e.Records)
		s.addHosts(e, farms)
		s.addSources(farms, last.Routes)
	})
	counts, err := e.countsOf(ctx, s.Rules, c.script, name)
	listing.Wait()
	s.findHere()
	err = errors.Join(err, s.addAnnounced(e, farms), e.addKernel(ctx, &s, c.script, counts, farms, name))
	s.setFindings(<-found)
	return s, err
}

// farmStatus is the status of one farm of the last load, with the findings that the farm alone has.
func (e *Engine) farmStatus(
	ctx context.Context, last statedir.LastLoad, c *compilation, f *farm.Farm,
) (FarmStatus, error) {
	s, farms := newStatus(), []*farm.Farm{f}
	s.addFarms(farms, c.sources, e.Records)
	s.findHere()
	var err error
	if s.Rules, err = e.rules(ctx, last); err != nil {
		return s.Farms[0], err
	}
	s.addSources(farms, last.Routes)
	counts, err := e.countsOf(ctx, s.Rules, c.script, f.Name)
	err = errors.Join(err, s.addAnnounced(e, farms), e.addKernel(ctx, &s, c.script, counts, farms, f.Name))
	s.setFindings(e.findingsOf(ctx, farms, f.Name))
	return s.Farms[0], err
}

// countsOf reads the counters of the backends of one farm, or of all if name is "". The result is nil if the kernel has
// none of the script.
func (e *Engine) countsOf(
	ctx context.Context, rules Rules, script *ruleset.Script, name string,
) (*kernelCounts, error) {
	if !rules.countersValid() {
		return nil, nil
	}
	k, err := e.countsInKernel(ctx, script, name)
	if err != nil {
		return nil, err
	}
	return &k, nil
}

// addKernel adds the counts and the other numbers of the kernel to the status of the farms.
func (e *Engine) addKernel(
	ctx context.Context, s *Status, script *ruleset.Script, counts *kernelCounts, farms []*farm.Farm, name string,
) error {
	if !s.Rules.countersValid() {
		return nil
	}
	if counts != nil {
		e.setCounts(s, *counts, name)
	}
	err := errors.Join(e.readHeldBack(ctx, s, farms), s.countConnections(ctx, script.Farms, nil),
		e.readShares(ctx, s, farms))
	if name != "" {
		err = errors.Join(err, e.countClients(ctx, s, farms[0]))
	}
	return err
}

// setFindings sets the findings, and the conditions of the farms, which follow from them.
func (s *Status) setFindings(all preflight.Findings) {
	s.Findings = all
	stopped := stoppedFarms(all)
	for i := range s.Farms {
		s.Farms[i].setCondition(s.Rules, stopped)
	}
}

// stoppedFarms returns the farms that findings stop; "" stands for all.
func stoppedFarms(findings preflight.Findings) map[string]bool {
	stopped := map[string]bool{}
	for _, f := range findings {
		if f.Effect != preflight.Stops {
			continue
		}
		stopped[""] = stopped[""] || len(f.Farms) == 0
		for _, name := range f.Farms {
			stopped[name] = true
		}
	}
	return stopped
}

// findingsOf returns the findings about one farm, or about all if name is "".
func (e *Engine) findingsOf(ctx context.Context, farms []*farm.Farm, name string) preflight.Findings {
	found := slices.DeleteFunc(e.Findings(ctx, farms).Without(preflight.Notes), func(f *preflight.Finding) bool {
		return name != "" && len(f.Farms) > 0 && !slices.Contains(f.Farms, name)
	})
	for _, f := range found { // JSON has [] for no farms and no commands
		f.Farms, f.Commands = orEmpty(f.Farms), orEmpty(f.Commands)
	}
	return orEmpty(found)
}

// orEmpty returns a list that JSON writes as [] if it is empty.
func orEmpty[T any, List ~[]T](list List) List {
	if list == nil {
		return List{}
	}
	return list
}

// lastLoaded returns the record of the last load and its farms.
func (e *Engine) lastLoaded() (statedir.LastLoad, *compilation, error) { return e.lastLoadedAs(nil) }

// lastLoadedAs is lastLoaded. If a compilation has the script and the files of the last load, it is the result.
func (e *Engine) lastLoadedAs(now *compilation) (statedir.LastLoad, *compilation, error) {
	last, err := e.Store.Loaded()
	switch {
	case err != nil:
		return last, nil, err
	case last.Script == nil:
		return last, nil, ErrNothingLoaded
	case now != nil && now.script != nil && now.script.Digest == last.Digest && now.sources.Digest() == last.Sources:
		return last, now, nil
	}
	memory := e.memory()
	if k := memory.kept; k != nil && k.script.Digest == last.Digest && k.sources.Digest() == last.Sources {
		return last, memory.kept, nil
	}
	if memory.kept = e.compileKept(last.Digest); memory.kept != nil {
		return last, memory.kept, nil
	}
	return last, nil, errUnknown
}

func (e *Engine) rules(ctx context.Context, last statedir.LastLoad) (Rules, error) {
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

// loadFacts returns the time and the cause of the last load.
func loadFacts(s statedir.Store, last statedir.LastLoad) LoadFacts {
	out := LoadFacts{Digest: last.Digest}
	if info, err := s.StatLoaded(); err == nil {
		out.Time = info.ModTime().UTC().Format(time.RFC3339)
	}
	if all, err := s.History(); err == nil && len(all) > 0 && all[0].Script == last.Digest {
		out.Cause = all[0].Cause
	}
	return out
}

func (s *Status) setFaults(now *compilation) {
	s.ReadAt = now.read.UTC()
	for _, d := range now.diagnostics {
		if d.Severity == diag.Fault {
			s.Faults = append(s.Faults, Fault{d.Farm, d.Place.File, d.Place.Line, d.Place.Column, d.Message, d.Hint})
		}
	}
}

// setIncomplete sets the files of farms that are not ready: of one farm, or of all.
func (s *Status) setIncomplete(dirs []farm.Dir, name string) {
	for _, file := range farm.Incomplete(dirs) {
		if name == "" || strings.HasPrefix(path.Base(file), name+".toml.") {
			s.Incomplete = append(s.Incomplete, file)
		}
	}
}

// setPending sets the changes in the files of one farm, or of all.
func (s *Status) setPending(last statedir.LastLoad, now *compilation, name string) {
	if now.script == nil || len(s.Faults) > 0 || now.sources.Digest() == last.Sources {
		return
	}
	for _, change := range farm.Changes(last.Farms, farm.Describe(now.script.Farms)) {
		if name == "" || strings.HasPrefix(change, name+": ") {
			s.Pending = append(s.Pending, change)
		}
	}
}

// NamesOf returns the names of farms, in their order.
func NamesOf(farms []*farm.Farm) (names []string) {
	for _, f := range farms {
		names = append(names, f.Name)
	}
	return names
}

// findFarm returns a farm of the last load, by its name or by the short name in lines of the log.
func findFarm(c *compilation, name string) (*farm.Farm, error) {
	for _, f := range c.script.Farms {
		if f.Name == name || farm.ShortName(f.Name) == name {
			return f, nil
		}
	}
	return nil, fmt.Errorf("no farm %s is loaded", name)
}
