package ruleset

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
	"text/template"

	"farmc/compiler/diag"
	"farmc/templates"
)

// A Writer executes templates and keeps the origin of each line. A template writes {{from .Origin}} at the end of a
// line: a tag, which the Writer takes off again once the line is complete.
type Writer struct {
	templates *template.Template
	tags      []*diag.Origin
}

// NewWriter makes a writer. Its templates can call the functions given, beside the writer's own.
func NewWriter(functions template.FuncMap) *Writer {
	w := &Writer{}
	w.templates = template.Must(parsedTemplates().Clone())
	w.templates.Funcs(w.functions()).Funcs(functions)
	return w
}

// functions are the functions of templates. Those of a reload are empty here.
func (w *Writer) functions() template.FuncMap {
	return template.FuncMap{
		"include":  w.include,
		"from":     w.Tag,
		"digest":   func() string { return digestZeros },
		"quoted":   quotedList,
		"among":    interfaceMatch,
		"lines":    func(indent, end string, lines []ScriptLine) string { return "" },
		"keys":     func(elements []ScriptLine) string { return "" },
		"originOf": func(number int) *diag.Origin { return nil },
	}
}

// parsedTemplates are the templates, which take 5 ms to parse. Each Writer has a copy, with functions of its own.
var parsedTemplates = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(new(Writer).functions()).ParseFS(templates.Files, "*.nft"))
})

// The bytes around a tag. No validated text has them.
const tagBegin, tagEnd = '\x01', '\x02'

// Tag gives the text that marks a line as one of the origin; "" if it has none.
func (w *Writer) Tag(o *diag.Origin) string {
	if o == nil {
		return ""
	}
	if n := len(w.tags); n == 0 || w.tags[n-1] != o {
		w.tags = append(w.tags, o)
	}
	return string(tagBegin) + strconv.Itoa(len(w.tags)-1) + string(tagEnd)
}

func (w *Writer) include(name string, data any) (string, error) {
	var out strings.Builder
	err := w.templates.ExecuteTemplate(&out, name, data)
	return out.String(), err
}

// Write executes a template, appends its lines to a text, and the origins of the lines to the origins of the text.
// A template that does not fit its data is a mistake in the code, and a panic.
func (w *Writer) Write(text []byte, origins []*diag.Origin, name string, data any) ([]byte, []*diag.Origin) {
	var out bytes.Buffer
	if err := w.templates.ExecuteTemplate(&out, name, data); err != nil {
		panic(err)
	}
	for line := range bytes.Lines(out.Bytes()) {
		line, origin := w.untag(line)
		text, origins = append(text, line...), append(origins, origin)
	}
	return text, origins
}

// untag takes the tag off a line.
func (w *Writer) untag(line []byte) ([]byte, *diag.Origin) {
	at := bytes.IndexByte(line, tagBegin)
	if at < 0 {
		return line, nil
	}
	n, _ := strconv.Atoi(string(line[at+1 : bytes.IndexByte(line, tagEnd)]))
	return append(line[:at:at], '\n'), w.tags[n]
}
