package compiler

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"text/template"

	"farmc/templates"
)

// seed is that of every hash. Without one the kernel draws another at each load, and all clients move.
const seed = "0x6661726d" // "farm"

// undigested stands in the script where its digest is to come.
var undigested = strings.Repeat("0", hex.EncodedLen(sha256.Size))

// render writes the ruleset as a script.
func (r *ruleset) render() (*Script, error) {
	w := writer{}
	w.templates = template.New("").Funcs(template.FuncMap{
		"include":  w.include,
		"elements": w.elements,
		"mark":     w.mark,
		"digest":   func() string { return undigested },
	})
	if _, err := w.templates.ParseFS(templates.Files, "*.nft"); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := w.templates.ExecuteTemplate(&out, "script", r.page()); err != nil {
		return nil, err
	}
	s := &Script{}
	s.Text, s.origins = w.unmark(out.Bytes())
	digest := sha256.Sum256(s.Text)
	s.Digest = hex.EncodeToString(digest[:])
	s.Text = bytes.Replace(s.Text, []byte(undigested), []byte(s.Digest), 1)
	return s, nil
}

// A writer executes templates, and remembers where lines come from: a line of a known origin ends in a mark, which
// is taken off once the script is whole and lines have their numbers.
type writer struct {
	templates *template.Template
	origins   []*Origin
}

const markBegin, markEnd = '\x01', '\x02' // which no validated text holds

func (w *writer) include(name string, data any) (string, error) {
	var out strings.Builder
	err := w.templates.ExecuteTemplate(&out, name, data)
	return out.String(), err
}

func (w *writer) mark(o *Origin) string {
	if o == nil {
		return ""
	}
	if n := len(w.origins); n == 0 || w.origins[n-1] != o {
		w.origins = append(w.origins, o)
	}
	return string(markBegin) + strconv.Itoa(len(w.origins)-1) + string(markEnd)
}

// elements writes the lines of a map, those of one farm under its name.
func (w *writer) elements(from interface{ elements() []mapElement }) string {
	var out strings.Builder
	farm := ""
	for _, e := range from.elements() {
		if e.origin.Farm != farm && !e.named {
			farm = e.origin.Farm
			fmt.Fprintf(&out, "\t\t\t# %s%s\n", farm, w.mark(e.origin))
		}
		out.WriteString("\t\t\t")
		out.WriteString(e.key)
		if e.named {
			out.WriteString(` comment "` + e.origin.Farm + `"`)
		}
		out.WriteString(" : " + e.value + "," + w.mark(e.origin) + "\n")
	}
	return out.String()
}

// unmark takes the marks off, and gives the origin of each line.
func (w *writer) unmark(text []byte) ([]byte, []*Origin) {
	clean := make([]byte, 0, len(text))
	var origins []*Origin
	for line := range bytes.Lines(text) {
		var origin *Origin
		if at := bytes.IndexByte(line, markBegin); at >= 0 {
			n, _ := strconv.Atoi(string(line[at+1 : bytes.IndexByte(line, markEnd)]))
			origin, line = w.origins[n], append(line[:at:at], '\n')
		}
		clean = append(clean, line...)
		origins = append(origins, origin)
	}
	return clean, origins
}

// page is the ruleset as the templates see it: words, with the arithmetic done.
func (r *ruleset) page() any {
	p := struct {
		Verdicts                        []*mapView
		Choices                         []choiceView
		Sources                         []sourceView
		AnyChains                       []*anyView
		Prerouting, Output, Postrouting *hookView
		NoBackend                       bool
	}{
		Prerouting:  hook("any", r.prerouting),
		Output:      hook("local-any", r.output),
		Postrouting: hook("", r.postrouting),
		NoBackend:   r.noBackend,
	}
	for _, h := range []*hookView{p.Prerouting, p.Output} {
		if h != nil && h.Any != nil {
			p.AnyChains = append(p.AnyChains, h.Any)
		}
	}
	for _, maps := range [][]*verdictMap{r.prerouting, r.output, r.postrouting} {
		for _, m := range maps {
			p.Verdicts = append(p.Verdicts, &mapView{m, view{m.Family}})
		}
	}
	for _, c := range r.choices {
		p.Choices = append(p.Choices, newChoiceView(c))
	}
	for _, c := range r.sources {
		p.Sources = append(p.Sources, newSourceView(c))
	}
	return p
}

// A view is what all things of a family tell a template.
type view struct{ family Family }

// Header is nft's word for the family's header.
func (v view) Header() string { return v.family.IP() }

// IP is the version in the names of nft's types.
func (v view) IP() string { return [...]string{"4", "6"}[v.family] }

type mapView struct {
	*verdictMap
	view
}

func (m *mapView) elements() []mapElement { return m.Elements }

// Form is the template of the map, after its level.
func (m *mapView) Form() string { return levelNames[m.Level] }

// Ask is the template of the rule that looks for a packet's destination.
func (m *mapView) Ask() string { return "ask-" + m.Form() }

// Recall is the template of the rule that looks for the destination that a connection had.
func (m *mapView) Recall() string { return "recall-" + m.Form() }

// A hookView is a base chain and the chain for "*" that it leads to last.
type hookView struct {
	Maps []*mapView
	Any  *anyView
}

type anyView struct {
	Name string
	Maps []*mapView
}

// hook parts the maps for "*", which share one look at the kernel's routing, from the others; without a name for the
// chain of those, they are asked like all.
func hook(anyName string, maps []*verdictMap) *hookView {
	if len(maps) == 0 {
		return nil
	}
	h := &hookView{}
	for _, m := range maps {
		v := &mapView{m, view{m.Family}}
		if m.Level < anyPortLevel || anyName == "" {
			h.Maps = append(h.Maps, v)
			continue
		}
		if h.Any == nil {
			h.Any = &anyView{Name: anyName}
		}
		h.Any.Maps = append(h.Any.Maps, v)
	}
	return h
}

type choiceView struct {
	Name  string
	Slots []slotView
}

type slotView struct {
	*slotMap
	view
	Keyed     string
	Scheduler Scheduler
	HashInput string
	Seed      string
	Protocols string
	Origin    *Origin
}

func (s slotView) elements() []mapElement { return s.Elements }

// Number is how many slots there are.
func (s slotView) Number() int { return s.slotMap.Slots }

func newChoiceView(c *choice) choiceView {
	out := choiceView{Name: c.Name}
	for _, m := range c.Slots {
		out.Slots = append(out.Slots, slotView{
			slotMap:   m,
			view:      view{c.Family},
			Keyed:     [...]string{byDoor: "door", byAddress: "address", bySlot: ""}[c.Keyed],
			Scheduler: c.Scheduler,
			HashInput: strings.Join(hashInput(c.HashOn, c.Family), " . "),
			Seed:      seed,
			Protocols: protocolMatch(c.Protocols),
			Origin:    c.origin,
		})
	}
	return out
}

// protocolMatch is one protocol as it is, which is quicker, or a set of them.
func protocolMatch(protocols []Protocol) string {
	if len(protocols) == 1 {
		return string(protocols[0])
	}
	words := make([]string, len(protocols))
	for i, p := range protocols {
		words[i] = string(p)
	}
	return "{ " + strings.Join(words, ", ") + " }"
}

type sourceView struct {
	*sourceChain
	view
	Address string
	Origin  *Origin
}

func (s sourceView) elements() []mapElement { return s.Elements }

func newSourceView(c *sourceChain) sourceView {
	out := sourceView{sourceChain: c, view: view{c.Family}, Origin: c.origin}
	if c.Address.IsValid() {
		out.Address = c.Address.String()
	}
	return out
}
