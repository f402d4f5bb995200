package nftlb

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"farmc/cmd/internal/convert"
)

// Import makes farms and lists of a configuration of nftlb, or of a saved listing.
func Import(in convert.Input) *convert.Result {
	i := &importer{in: in, lines: strings.Split(string(in.Text), "\n")}
	a := (&State{}).Do(Request{Verb: "POST", Path: []string{"farms"}, Body: in.Text, Lenient: true, Twice: true})
	if !a.OK() {
		i.result.Lose(i.find(quotedWord(a.Text)), a.Text, "a configuration that nftlb loads")
		return &i.result
	}
	i.state = a.State
	i.findSources()
	i.state.FindDevices(func(string) string { return in.Interface })
	i.marks = marksOf(in.Marks, i.state)
	for note := range strings.SplitSeq(strings.TrimPrefix(a.Text, "success"), ". ") {
		switch {
		case note == "":
		case strings.HasSuffix(note, inElement):
			i.result.Lose(i.find(quotedWord(note)), note, "an address, a network, or a range")
		default:
			i.result.Note(i.find(quotedWord(note)), note, "")
		}
	}
	i.policies()
	for _, f := range a.State.Farms {
		i.farm(f, i.source("farms", f.Name))
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
	in      convert.Input
	state   *State
	marks   Marks
	lines   []string
	sources map[string]*source // of objects, by their paths
	result  convert.Result
}

// policies makes lists, and gives policies the names of the lists.
func (i *importer) policies() {
	names := map[string]string{}
	for _, p := range i.state.Policies {
		old := p.Name
		p.Name = i.result.NewList(old, p.text())
		names[old] = p.Name
		if p.Values["timeout"] != "0" {
			i.result.Note(i.line(i.source("policies", old), "timeout"),
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

// farm makes a farm of an object of the source.
func (i *importer) farm(f *Farm, from *source) {
	document, losses := i.state.Document(f, i.marks)
	out := i.result.NewFarm(i.place(from.named), f.Name)
	for key, value := range document {
		if key != "backends" {
			out.Document[key] = value
		}
	}
	if _, has := document["backends"]; has {
		out.Document["backends"] = map[string]any{}
		i.backends(f, out, document["backends"].(map[string]any), from)
	}
	for _, l := range losses {
		at := i.line(from, l.Key)
		if l.Matters {
			i.result.Lose(at, "farm "+f.Name+": "+l.Key+": "+l.What, l.Instead)
		} else {
			i.result.Note(at, "farm "+f.Name+": "+l.Key+": "+l.What, l.Instead)
		}
	}
}

// backends sets the backends of a farm, in their order.
func (i *importer) backends(f *Farm, out *convert.Farm, all map[string]any, from *source) {
	names := map[string]string{}
	for _, b := range f.Backends {
		keys, has := all[b.Name].(map[string]any)
		if !has {
			continue
		}
		at := i.place(i.source(from.kind, from.name, "backends", b.Name).named)
		name := out.NewBackend(at, b.Name, keys["address"].(string))
		for key, value := range keys {
			out.Set(i.place(from.named), value, "backends", name, key)
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
			i.result.Note(i.place(i.source("addresses", a.Name).named),
				"whitelists of address "+a.Name+" have no effect without a blacklist", "")
			continue
		}
		i.farm(f, i.source("addresses", a.Name))
	}
}

// A source is the lines of an object.
type source struct {
	kind        string  // the key of its list, such as "farms"
	within      *source // the object that has the list; nil: none has
	name        string
	first, last int // lines
	named       int // the line of the name; 0: the object is nowhere in the text
}

// path is the key of an object in sources.
func (s *source) path() string {
	if s.within == nil {
		return ""
	}
	return s.within.path() + "/" + s.kind + "/" + s.name
}

// A scanner finds the lines of the objects that have names.
type scanner struct {
	*json.Decoder
	text     []byte
	counted  int // bytes before the place up to which lines are counted
	line     int
	finished []*source
}

// findSources finds the lines of objects.
func (i *importer) findSources() {
	i.sources = map[string]*source{}
	s := &scanner{Decoder: json.NewDecoder(bytes.NewReader(i.in.Text)), text: i.in.Text, line: 1}
	s.value("", nil)
	for _, o := range s.finished {
		if path := o.path(); i.sources[path] == nil {
			i.sources[path] = o
		}
	}
}

// here is the line up to which the text is read.
func (s *scanner) here() int {
	end := int(s.InputOffset())
	s.line += bytes.Count(s.text[s.counted:end], []byte("\n"))
	s.counted = end
	return s.line
}

// value reads a value: of a key of an object, or an item of its list.
func (s *scanner) value(key string, within *source) {
	switch token, _ := s.Token(); token {
	case json.Delim('{'):
		s.object(&source{kind: key, within: within, first: s.here()})
	case json.Delim('['):
		for s.More() {
			s.value(key, within)
		}
		_, _ = s.Token()
	}
}

// object reads an object after its brace.
func (s *scanner) object(o *source) {
	for s.More() {
		token, _ := s.Token()
		if key, _ := token.(string); key != "name" {
			s.value(key, o)
			continue
		}
		token, _ = s.Token()
		o.name, _ = token.(string)
		o.named = s.here()
	}
	_, _ = s.Token()
	if o.last = s.here(); o.named > 0 {
		s.finished = append(s.finished, o)
	}
}

// source returns the lines of an object by its kind and name, and those of the objects that have it. One that is
// nowhere in the text has line 0.
func (i *importer) source(words ...string) *source {
	if s := i.sources["/"+strings.Join(words, "/")]; s != nil {
		return s
	}
	return &source{last: len(i.lines)}
}

// line returns the place of a key of an object, or that of its name. Keys such as "backends.b1.weight" are those of a
// backend.
func (i *importer) line(of *source, key string) convert.Place {
	if rest, isOfBackend := strings.CutPrefix(key, "backends."); isOfBackend && of.named > 0 {
		name, attribute := rest, ""
		if dot := strings.LastIndexByte(rest, '.'); dot >= 0 && backendKind.byKey[rest[dot+1:]].key != "" {
			name, attribute = rest[:dot], rest[dot+1:]
		}
		return i.line(i.source(of.kind, of.name, "backends", name), attribute)
	}
	word := `"` + key + `"`
	for n := max(of.first, 1); n <= of.last; n++ {
		if strings.Contains(i.lines[n-1], word) {
			return i.place(n)
		}
	}
	return i.place(of.named)
}

// find returns the place of the first line that has a word in quotes.
func (i *importer) find(word string) convert.Place { return i.line(&source{last: len(i.lines)}, word) }

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
