package overview

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/live"
)

// An index has all farms in the order of their problems.
type index struct {
	outline live.Outline
	made    time.Time
	took    time.Duration // to make it
	entries []*entry
	byName  map[string]*entry
	faults  []Fault // the first ones
	count   int     // of all faults
}

// An entry is a farm of an index.
type entry struct {
	status      *live.FarmStatus // without numbers
	faults      []live.FarmFault
	description string
	severity    int
	words       string // to search, in lower case
}

// newIndex returns the index of the farms that were loaded, and of farms in the files alone.
func newIndex(o live.Outline) *index {
	x := &index{outline: o, made: time.Now(), byName: map[string]*entry{}}
	for i := range o.Farms {
		x.add(&o.Farms[i])
	}
	x.addFiles()
	for _, e := range x.entries {
		e.severity = severity(e.status, e.faults)
		e.words = searchWords(e)
	}
	slices.SortStableFunc(x.entries, func(a, b *entry) int {
		return cmp.Or(a.severity-b.severity, live.CompareNatural(a.status.Name, b.status.Name))
	})
	return x
}

func (x *index) add(f *live.FarmStatus) *entry {
	e := &entry{status: f}
	x.entries, x.byName[f.Name] = append(x.entries, e), e
	return e
}

// addFiles adds the faults and descriptions of the files, and farms that were not loaded.
func (x *index) addFiles() {
	s := x.outline.Snapshot
	if s == nil {
		return
	}
	all := s.AllFaults()
	x.count = len(all)
	x.faults = excerpts(s, all)
	for _, r := range s.Readings {
		e, known := x.byName[r.Name()]
		if !known {
			e = x.add(&live.FarmStatus{Name: r.Name()})
			if f := r.Farm(); f != nil {
				e.status.Mode, e.status.Listen = string(f.Mode), f.Listening()
			}
		}
		e.description = descriptionIn(r.Document())
	}
	if x.count == 0 {
		return
	}
	for _, e := range x.entries {
		e.faults = s.Faults(e.status.Name)
	}
}

// excerpts returns the first faults with the lines around them.
func excerpts(s *live.Snapshot, all []live.FarmFault) []Fault {
	out := []Fault{}
	for _, f := range all[:min(len(all), maxItems)] {
		lines, first := s.Excerpt(f.File, f.Line, 2)
		for i, line := range lines {
			lines[i] = shorten(line)
		}
		out = append(out, Fault{f, append([]string{}, lines...), first})
	}
	return out
}

// maxLine is the length of a line of an excerpt, in characters.
const maxLine = 200

func shorten(line string) string {
	if runes := []rune(line); len(runes) > maxLine {
		return string(runes[:maxLine]) + "…"
	}
	return line
}

// descriptionIn returns the description in the keys of a farm. It looks at few bytes of most farms.
func descriptionIn(document []byte) string {
	if !strings.Contains(string(document), `"description"`) {
		return ""
	}
	var keys struct {
		Description string `json:"description"`
	}
	if json.Unmarshal(document, &keys) != nil {
		return ""
	}
	return shorten(keys.Description)
}

// searchWords are the words by which a farm is found: its names, addresses, states and description.
func searchWords(e *entry) string {
	f := e.status
	out := []string{f.Name, e.description, f.Mode, f.Scheduler, string(f.Condition), string(groupOf(e.severity))}
	out = append(out, f.Listen...)
	for i := range f.Backends {
		b := &f.Backends[i]
		out = append(append(out, b.Name, b.Host, b.State), b.Address...)
	}
	return strings.ToLower(strings.Join(out, "\n"))
}

// find returns the entries of a query.
func (x *index) find(q Query) []*entry {
	words := strings.Fields(strings.ToLower(q.Search))
	if len(words) == 0 && q.Show == "" {
		return x.entries
	}
	var out []*entry
	for _, e := range x.entries {
		hasAll := !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(e.words, w) })
		if hasAll && (q.Show == "" || groupOf(e.severity) == q.Show) {
			out = append(out, e)
		}
	}
	return out
}

// head returns a page without its farms.
func (x *index) head() Page {
	o := x.outline
	p := Page{Time: x.made.UTC().Truncate(time.Second), Rules: o.Rules, Load: o.Load, Agree: o.Agree,
		Blocked: o.Blocked, Faults: x.faults, MoreFaults: x.count - len(x.faults), Findings: o.FindingsOn,
		NoBytes: o.NoBytes,
		Groups:  map[Group]int{}, Farms: []Row{}}
	if x.faults == nil {
		p.Faults = []Fault{}
	}
	if o.OnTrial {
		left := o.Left.Seconds()
		p.Trial = &left
	}
	shown := min(len(o.Pending), maxItems)
	p.Pending, p.MorePending = append([]string{}, o.Pending[:shown]...), len(o.Pending)-shown
	for _, g := range Groups {
		p.Groups[g] = 0
	}
	for _, e := range x.entries {
		p.Groups[groupOf(e.severity)]++
		p.Backends += len(e.status.Backends)
		p.Serving += e.status.BackendsUp
	}
	return p
}

// maxProblems is the number of problems in a row.
const maxProblems = 3

// row returns the farm in short.
func (e *entry) row(t known) Row {
	all := problems(e.status, e.faults)
	shown := min(len(all), maxProblems)
	return Row{Name: e.status.Name, Description: e.description, Mode: e.status.Mode,
		Listen: append([]string{}, e.status.Listen...), Condition: e.status.Condition, Group: groupOf(e.severity),
		Problems: append([]string{}, all[:shown]...), More: len(all) - shown, Backends: len(e.status.Backends),
		Serving: e.status.BackendsUp, Numbers: t.numbers}
}

// farm returns the details of the farm.
func (x *index) farm(e *entry, t known) Farm {
	s := x.outline.Snapshot
	f := Farm{Name: e.status.Name, Sources: append([]string{}, e.status.Files...), Row: e.row(t),
		Panic: e.status.Panic, Faults: excerpts(s, e.faults), HeldBack: map[string]uint64{},
		LetPass: map[string]uint64{}, Banned: []live.BanStatus{}, Backends: []Backend{}}
	if r, inFiles := s.Reading(e.status.Name); inFiles {
		f.Keys, f.Sources, f.Loaded = r.Document(), r.Sources(), s.Loaded(e.status.Name)
		f.MayBan = r.Farm() != nil && r.Farm().Limits.Ban > 0
	}
	if f.NoBytes = x.outline.NoBytes; e.status.Mode != "" && !e.status.Tracked() {
		f.NoBytes = "mode " + e.status.Mode + " tracks no connections"
	}
	if t.status != nil {
		f.HeldBack, f.LetPass = t.status.HeldBack, t.status.LetPass
		f.Bans = len(t.status.Banned)
		f.Banned = append(f.Banned, t.status.Banned[:min(f.Bans, maxItems)]...)
	}
	for _, b := range e.status.Backends {
		f.Backends = append(f.Backends, t.backend(b))
	}
	return f
}
