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

// digestMark stands in the script before its digest, and undigested where that is to come.
const digestMark = "farmc sha256:"

var undigested = strings.Repeat("0", hex.EncodedLen(sha256.Size))

// render writes the ruleset as a script.
func (r *ruleset) render() (*Script, error) {
	w := newWriter(nil)
	text, origins, err := w.write("script", r.page())
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(text)
	s := &Script{Text: text, Digest: hex.EncodeToString(digest[:]), origins: origins}
	copy(text[bytes.Index(text, []byte(digestMark))+len(digestMark):], s.Digest)
	return s, nil
}

// A writer executes templates, and remembers where lines come from: a line of a known origin ends in a mark, which
// is taken off once the script is whole and lines have their numbers.
type writer struct {
	templates *template.Template
	origins   []*Origin
	spliced   [][]*piece // what stands where a line says so
	script    *Script    // whose lines are written once more, in a reload
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
		"among":    interfaceMatch,
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

const markBegin, markEnd, splice = '\x01', '\x02', '\x03' // which no validated text holds

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

// What is filled has elements, or pieces, which are elements already written.
type filled interface{ elements() []mapElement }

type pieced interface{ pieces() []*piece }

// elements writes the lines of a map, those of one farm under its name.
func (w *writer) elements(from filled) string {
	var out []byte
	if from, ok := from.(pieced); ok && len(from.pieces()) > 0 {
		w.spliced = append(w.spliced, from.pieces())
		out = fmt.Appendf(out, "%c%d\n", splice, len(w.spliced)-1)
	}
	farm := ""
	for _, e := range from.elements() {
		if e.origin.Farm != farm && !e.named {
			farm = e.origin.Farm
			out = w.appendMarked(appendFarm(out, farm), e.origin)
		}
		out = w.appendMarked(e.appendTo(out), e.origin)
	}
	return string(out)
}

// appendMarked marks the line that was just written.
func (w *writer) appendMarked(line []byte, o *Origin) []byte {
	line = append(line[:len(line)-1], w.mark(o)...)
	return append(line, '\n')
}

// room is the size of the hash table for a map. Told one, the kernel makes a table that doesn't grow, in which a lookup costs
// a third less. The steps are wide, as a map of another size has to be made anew.
func room(from filled) int {
	elements := len(from.elements())
	if from, ok := from.(pieced); ok {
		elements += sizes(from.pieces())
	}
	return roomFor(elements)
}

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

// unmark takes the marks off, puts the pieces in, and gives the origin of each line.
func (w *writer) unmark(text []byte) ([]byte, []*Origin) {
	clean, origins := w.space(text)
	for line := range bytes.Lines(text) {
		if line[0] == splice {
			n, _ := strconv.Atoi(string(line[1 : len(line)-1]))
			clean, origins = putIn(clean, origins, w.spliced[n])
			continue
		}
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

// space makes room for a text whose pieces are still to come.
func (w *writer) space(text []byte) ([]byte, []*Origin) {
	size, lines := len(text), bytes.Count(text, []byte("\n"))
	for _, pieces := range w.spliced {
		for _, p := range pieces {
			size += len(p.text)
			lines += len(p.origins)
		}
	}
	return make([]byte, 0, size), make([]*Origin, 0, lines)
}

// putIn adds pieces, those of one farm under its name.
func putIn(text []byte, origins []*Origin, pieces []*piece) ([]byte, []*Origin) {
	farm := ""
	for _, p := range pieces {
		if p.farm == farm {
			text, origins = append(text, p.text[p.head:]...), append(origins, p.origins[1:]...)
			continue
		}
		text, origins, farm = append(text, p.text...), append(origins, p.origins...), p.farm
	}
	return text, origins
}
