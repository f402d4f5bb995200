package convert

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"farmc/cmd/internal/edit"
	"farmc/compiler/diag"
)

// A Place is a line of the source. Line 0 is the whole file.
type Place struct {
	File string
	Line int
	Text string // the line itself, for the comment in the farm
}

// String gives FILE:LINE.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// longestNote is the length of a source line in a comment, in characters.
const longestNote = 80

// note is the comment for keys that come from the place.
func (p Place) note() string {
	text := []rune(strings.ToValidUTF8(strings.Join(strings.Fields(p.Text), " "), string(utf8.RuneError)))
	if len(text) > longestNote {
		text = append(text[:longestNote], []rune("...")...)
	}
	return strings.TrimSuffix(p.String()+": "+string(text), ": ")
}

// A Loss is a directive that farmc cannot keep, or keeps with another meaning.
type Loss struct {
	Place
	What    string // the directive and the difference
	Instead string // the remedy
	Matters bool   // connections are served in another way, or not at all
}

// String gives the loss as one line that no terminal obeys: FILE:LINE: what: do this instead.
func (l Loss) String() string {
	text := l.Place.String() + ": " + l.What
	if l.Instead != "" {
		text += ": " + l.Instead
	}
	return diag.Printable(text)
}

// A Result is the outcome of an import.
type Result struct {
	Empty  bool // the source itself says that it has no services
	Farms  []*Farm
	Lists  []List
	Losses []Loss

	names     names // of farms
	listNames names
}

// maxLosses bounds the losses that are kept. Further ones are counted by the last one.
const maxLosses = 1000

// Lose records a loss that matters.
func (r *Result) Lose(at Place, what, instead string) { r.add(Loss{at, what, instead, true}) }

// Note records a difference that does not matter to the service of connections.
func (r *Result) Note(at Place, what, instead string) { r.add(Loss{at, what, instead, false}) }

// NoteLeastConnections records how scheduler least-connections differs from one that compares servers.
func (r *Result) NoteLeastConnections(at Place, scheduler string) {
	r.Note(at, scheduler+" compares servers for each connection",
		"farmc watch changes the shares of backends once a second")
}

// mostRuns is the most checks in a row that change the state of a backend.
const mostRuns = 100

// Runs brings a number of checks, for rise or fall, into the bounds of farmc, and says so.
func (r *Result) Runs(at Place, key string, n int) int {
	if n > mostRuns {
		r.Note(at, fmt.Sprintf("%s is %d, and %d at most in farmc", key, n, mostRuns),
			fmt.Sprintf("the farm has %d", mostRuns))
	}
	return min(n, mostRuns)
}

func (r *Result) add(l Loss) {
	l.Text = ""
	switch n := len(r.Losses); {
	case n < maxLosses:
		r.Losses = append(r.Losses, l)
	case n == maxLosses:
		r.Losses = append(r.Losses, Loss{Place{File: l.File}, fmt.Sprintf("more than %d losses", maxLosses),
			"import a part of the configuration at a time", true})
	}
}

// Matters reports whether a loss matters.
func (r *Result) Matters() bool {
	return slices.ContainsFunc(r.Losses, func(l Loss) bool { return l.Matters })
}

// sort orders the losses by place. Lines that several farms share have each loss once.
func (r *Result) sort() {
	slices.SortStableFunc(r.Losses, func(a, b Loss) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	seen := map[Loss]bool{}
	r.Losses = slices.DeleteFunc(r.Losses, func(l Loss) bool {
		again := seen[l]
		seen[l] = true
		return again
	})
}

// A Farm is a farm to be written.
type Farm struct {
	Name     string // legal, and unique within the result
	Place    Place  // the line that the farm begins with
	Document edit.Document

	Incomplete bool // a loss says what the farm lacks: it is written as NAME.toml.incomplete

	notes    edit.Notes
	backends names
}

// NewFarm adds a farm with a name near the one that is wanted.
func (r *Result) NewFarm(at Place, wanted string) *Farm {
	f := &Farm{Name: r.names.pick(wanted, "farm"), Place: at, Document: edit.Document{}, notes: edit.Notes{}}
	f.notes[""] = "from " + at.note()
	r.Farms = append(r.Farms, f)
	return f
}

// Set sets the key at a path, such as "persistence", "timeout". Values are string, int64, float64, bool and []any; an
// int and a []string are converted. The line of the source becomes a comment above the key.
func (f *Farm) Set(at Place, value any, path ...string) {
	table := map[string]any(f.Document)
	for _, name := range path[:len(path)-1] {
		table = subtable(table, name)
	}
	table[path[len(path)-1]] = plain(value)
	if at.Line > 0 && at.Line != f.Place.Line {
		f.notes[strings.Join(path, ".")] = at.note()
	}
}

// Add appends to the list at a key of the farm.
func (f *Farm) Add(at Place, value, key string) {
	list, _ := f.Document[key].([]any)
	f.Set(at, append(list, value), key)
}

// Get gives the value at a path; nil if there is none.
func (f *Farm) Get(path ...string) any {
	var value any = map[string]any(f.Document)
	for _, name := range path {
		table, _ := value.(map[string]any)
		value = table[name]
	}
	return value
}

// NewBackend adds a backend with a name near the one that is wanted, and returns its name. Further keys are Set at
// "backends", NAME, KEY.
func (f *Farm) NewBackend(at Place, wanted, address string) string {
	name := f.backends.pick(wanted, "b")
	f.Set(at, address, "backends", name, "address")
	delete(f.notes, "backends."+name+".address")
	f.notes["backends."+name] = at.note()
	return name
}

// LastResort gives a backend a worse priority than the one other that it stands in for. With several others it would
// serve as soon as one of them fails, so it is down, which is a loss.
func (r *Result) LastResort(f *Farm, at Place, backend string, priority, others int) {
	if others == 1 {
		f.Set(at, priority, "backends", backend, "priority")
		return
	}
	f.Set(at, "down", "backends", backend, "state")
	r.Lose(at, "a backend of last resort for several others does not exist in farmc, so it is down",
		"set priority = 2 in the place of its state if it may serve as soon as one of the others fails")
}

// text is the text of the farm's file.
func (f *Farm) text() ([]byte, []edit.Fault) { return edit.WriteNoted(f.Document, f.notes) }

// subtable gives the table of a name, and makes it.
func subtable(table map[string]any, name string) map[string]any {
	sub, is := table[name].(map[string]any)
	if !is {
		sub = map[string]any{}
		table[name] = sub
	}
	return sub
}

// plain gives a value of the types that documents have.
func plain(value any) any {
	switch value := value.(type) {
	case int:
		return int64(value)
	case []string:
		list := make([]any, len(value))
		for i, item := range value {
			list[i] = item
		}
		return list
	}
	return value
}

// A List is a list of networks, NAME.list.
type List struct {
	Name string
	Text []byte
}

// NewList adds a list with a name near the one that is wanted, and returns its name.
func (r *Result) NewList(wanted string, text []byte) string {
	name := r.listNames.pick(wanted, "list")
	r.Lists = append(r.Lists, List{name, text})
	return name
}
