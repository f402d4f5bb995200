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
	w := newWriter(nil)
	text, origins, err := w.write("script", r.page())
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(text)
	s := &Script{Digest: hex.EncodeToString(digest[:]), origins: origins}
	s.Text = bytes.Replace(text, []byte(undigested), []byte(s.Digest), 1)
	return s, nil
}

// A writer executes templates, and remembers where lines come from: a line of a known origin ends in a mark, which
// is taken off once the script is whole and lines have their numbers.
type writer struct {
	templates *template.Template
	origins   []*Origin
	script    *Script // whose lines are written once more, in a reload
}

func newWriter(script *Script) *writer {
	w := &writer{script: script}
	w.templates = template.New("").Funcs(template.FuncMap{
		"include":  w.include,
		"elements": w.elements,
		"room":     room,
		"networks": networks,
		"mark":     w.mark,
		"digest":   func() string { return undigested },
		"quoted":   quotedList,
		"lines":    w.lines,
		"keys":     keyLines,
		"origin":   w.origin,
	})
	template.Must(w.templates.ParseFS(templates.Files, "*.nft"))
	return w
}

// write executes a template, and gives the origin of each of its lines.
func (w *writer) write(name string, data any) ([]byte, []*Origin, error) {
	var out bytes.Buffer
	if err := w.templates.ExecuteTemplate(&out, name, data); err != nil {
		return nil, nil, err
	}
	text, origins := w.unmark(out.Bytes())
	return text, origins, nil
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
		if e.value != "" {
			out.WriteString(" : " + e.value)
		}
		out.WriteString("," + w.mark(e.origin) + "\n")
	}
	return out.String()
}

// room is the size of the hash table for a map. Told one, the kernel makes a table that doesn't grow, in which a lookup costs
// a third less. The steps are wide, as a map of another size has to be made anew.
func room(from interface{ elements() []mapElement }) int { return roomFor(len(from.elements())) }

func roomFor(elements int) int {
	size := 16
	for size < elements {
		size *= 4
	}
	return size
}

// networks writes the first addresses of networks, a line each.
func networks(of clientSetView) string {
	out := make([]byte, 0, len(of.Firsts)*20)
	for _, first := range of.Firsts {
		out = append(out, "\t\t\t"...)
		out = first.appendTo(out, of.clientSet.Family)
		out = append(out, ",\n"...)
	}
	return string(out)
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
