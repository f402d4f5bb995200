package nftlb

import (
	"regexp"
	"slices"
	"strings"

	"farmc/cmd/internal/convert"
)

// Import makes farms and lists of a configuration of nftlb, or of a saved listing.
func Import(in convert.Input) *convert.Result {
	i := &importer{in: in, lines: strings.Split(string(in.Text), "\n")}
	a := (&State{}).Do(Request{Verb: "POST", Path: []string{"farms"}, Body: in.Text, Lenient: true, Twice: true})
	if !a.OK() {
		i.result.Lose(i.find(0, quotedWord(a.Text)), a.Text, "a configuration that nftlb loads")
		return &i.result
	}
	i.state = a.State
	i.findStarts()
	i.state.FindDevices(func(string) string { return in.Interface })
	i.marks = marksOf(in.Marks, i.state)
	for note := range strings.SplitSeq(strings.TrimPrefix(a.Text, "success"), ". ") {
		switch {
		case note == "":
		case strings.HasSuffix(note, inElement):
			i.result.Lose(i.find(0, quotedWord(note)), note, "an address, a network, or a range")
		default:
			i.result.Note(i.find(0, quotedWord(note)), note, "")
		}
	}
	i.policies()
	for _, f := range a.State.Farms {
		i.farm(f)
	}
	i.unattached()
	i.result.Empty = len(a.State.Farms)+len(a.State.Addresses)+len(a.State.Policies) == 0
	return &i.result
}

// marksOf chooses the marks of an import. By default the marks of a listing count if a client asked for them, as far as
// that shows: a farm has one, or a backend has one above the numbers of nftlb.
func marksOf(word string, s *State) Marks {
	const firstAsked = 0x200
	asked := slices.ContainsFunc(s.Farms, func(f *Farm) bool {
		return f.Values.mark() != 0 || slices.ContainsFunc(f.Backends, func(b *Backend) bool {
			return b.Values.mark() >= firstAsked
		})
	})
	switch {
	case word == "keep":
		return MarksAll
	case word == "drop" || !asked:
		return MarksNone
	}
	return MarksAsked
}

// An importer turns a state into a result.
type importer struct {
	in     convert.Input
	state  *State
	marks  Marks
	lines  []string
	starts map[string]int // the first line that has each name
	farms  []int          // the starts of the farms, in their order
	result convert.Result
}

// policies makes lists, and gives policies the names of the lists.
func (i *importer) policies() {
	names := map[string]string{}
	for _, p := range i.state.Policies {
		old := p.Name
		p.Name = i.result.NewList(old, p.text())
		names[old] = p.Name
		if p.Values["timeout"] != "0" {
			i.result.Note(i.line(i.start(old), "timeout"),
				"timeout of policy "+old+" has no effect in nftlb, either", "")
		}
	}
	for _, f := range i.state.Farms {
		rename(f.Policies, names)
	}
	for _, a := range i.state.Addresses {
		rename(a.Policies, names)
	}
	i.state.dropPlaces()
}

// rename replaces all names at once: a new name can be the old one of another object.
func rename(all []string, names map[string]string) {
	for n, old := range all {
		all[n] = names[old]
	}
}

// text is the text of the list of a policy.
func (p *Policy) text() []byte {
	return []byte("# written by farmc: policy of nftlb\n" + strings.Join(append(slices.Clone(p.Elements), ""), "\n"))
}

// farm makes a farm.
func (i *importer) farm(f *Farm) {
	start := i.start(f.Name)
	document, losses := i.state.Document(f, i.marks)
	out := i.result.NewFarm(i.place(start), f.Name)
	for key, value := range document {
		if key != "backends" {
			out.Document[key] = value
		}
	}
	if _, has := document["backends"]; has {
		out.Document["backends"] = map[string]any{}
		i.backends(f, out, document["backends"].(map[string]any), start)
	}
	for _, l := range losses {
		at := i.line(start, l.Key)
		if l.Matters {
			i.result.Lose(at, "farm "+f.Name+": "+l.Key+": "+l.What, l.Instead)
		} else {
			i.result.Note(at, "farm "+f.Name+": "+l.Key+": "+l.What, l.Instead)
		}
	}
}

// backends sets the backends of a farm, in their order.
func (i *importer) backends(f *Farm, out *convert.Farm, all map[string]any, start int) {
	names := map[string]string{}
	for _, b := range f.Backends {
		keys, has := all[b.Name].(map[string]any)
		if !has {
			continue
		}
		at := i.find(start, b.Name)
		name := out.NewBackend(at, b.Name, keys["address"].(string))
		for key, value := range keys {
			out.Set(i.place(start), value, "backends", name, key)
		}
		names[b.Name] = name
	}
	static, _ := out.Get("persistence", "static").(map[string]any)
	for client, backend := range static {
		static[client] = names[backend.(string)]
	}
}

// unattached makes farms in mode local of the addresses that have policies and no farm: nftlb filters packets to them,
// whichever program serves there.
func (i *importer) unattached() {
	for _, a := range i.state.Filters() {
		f := filterFarm(a)
		if d, _ := i.state.Document(f, MarksNone); d["access"] == nil {
			i.result.Note(i.place(i.start(a.Name)),
				"whitelists of address "+a.Name+" have no effect without a blacklist", "")
			continue
		}
		i.farm(f)
	}
}

var nameForm = regexp.MustCompile(`"name"\s*:\s*"([^"]*)"`)

// findStarts finds the lines that name objects.
func (i *importer) findStarts() {
	i.starts = map[string]int{}
	for n, line := range i.lines {
		for _, name := range nameForm.FindAllStringSubmatch(line, -1) {
			if _, has := i.starts[name[1]]; !has {
				i.starts[name[1]] = n + 1
			}
		}
	}
	for _, f := range i.state.Farms {
		i.farms = append(i.farms, i.start(f.Name))
	}
	slices.Sort(i.farms)
}

// start returns the line that names an object; 0 if there is none.
func (i *importer) start(name string) int { return i.starts[name] }

// line returns the place of a key of the object that starts at a line, or that of the object.
func (i *importer) line(start int, key string) convert.Place {
	rest, isOfBackend := strings.CutPrefix(key, "backends.")
	if !isOfBackend {
		return i.between(start, i.end(start), key)
	}
	name, attribute := rest, rest
	if dot := strings.LastIndexByte(rest, '.'); dot >= 0 && backendKind.byKey[rest[dot+1:]].key != "" {
		name, attribute = rest[:dot], rest[dot+1:]
	}
	at := i.between(start, i.end(start), name)
	next := slices.IndexFunc(i.lines[at.Line:], func(text string) bool { return strings.Contains(text, `"name"`) })
	if next < 0 {
		next = len(i.lines)
	}
	return i.between(at.Line, at.Line+next, attribute)
}

// end returns the last line before the farm after the one that starts at a line.
func (i *importer) end(start int) int {
	n, _ := slices.BinarySearch(i.farms, start+1)
	if n == len(i.farms) {
		return len(i.lines)
	}
	return i.farms[n] - 1
}

// find returns the place of the first line from start on that has a word in quotes, or that of start.
func (i *importer) find(start int, word string) convert.Place {
	return i.between(start, len(i.lines), word)
}

// between returns the place of the first line of some that has a word in quotes, or that of the first one.
func (i *importer) between(start, end int, word string) convert.Place {
	word = `"` + word + `"`
	for n := max(start, 1); n <= end; n++ {
		if strings.Contains(i.lines[n-1], word) {
			return i.place(n)
		}
	}
	return i.place(start)
}

func (i *importer) place(line int) convert.Place {
	if line == 0 {
		return convert.Place{File: i.in.Name}
	}
	return convert.Place{File: i.in.Name, Line: line, Text: i.lines[line-1]}
}

// quotedWord returns the first word in single quotes of a note.
func quotedWord(note string) string {
	parts := strings.Split(note, "'")
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}
