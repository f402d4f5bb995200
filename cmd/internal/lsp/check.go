package lsp

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/source"
	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// quiet is how long the checker waits for further changes: a person who types makes several in a second.
const quiet = 100 * time.Millisecond

// A checker compiles the directories of the open documents after changes, and publishes diagnostics.
type checker struct {
	dirs      []farm.Dir
	wake      chan struct{}
	done      chan struct{}        // closed at the end of the session
	workshops map[string]*workshop // by their directories
}

// A workshop compiles the farms of some directories again and again.
type workshop struct {
	dirs     []farm.Dir
	compiler compiler.Compiler
	files    *source.Files
}

// maxWorkshops is the number of directories whose farms are kept in memory.
const maxWorkshops = 8

func newChecker(dirs []farm.Dir) *checker {
	return &checker{dirs: dirs, wake: make(chan struct{}, 1), done: make(chan struct{}),
		workshops: map[string]*workshop{}}
}

// ask has the checker look at all documents soon.
func (c *checker) ask() {
	select {
	case c.wake <- struct{}{}:
	default: // it is asked already
	}
}

// run looks at the documents of a server each time that it is asked, until the end of the session.
func (c *checker) run(s *server) {
	for c.waits() {
		documents, client := s.opened()
		for _, p := range c.check(documents, client) {
			if s.document(p.URI) != nil {
				_ = s.rpc.Notify(context.Background(), "textDocument/publishDiagnostics", p) // the stream may be closed
			}
		}
	}
}

// waits waits until the checker is asked, and for further changes; false at the end of the session.
func (c *checker) waits() bool {
	select {
	case <-c.wake:
	case <-c.done:
		return false
	}
	select {
	case <-time.After(quiet):
	case <-c.done:
		return false
	}
	select {
	case <-c.wake: // the changes of this time are looked at now
	default:
	}
	return true
}

// check compiles documents and gives the diagnostics of each.
func (c *checker) check(documents []*document, client clientCapabilities) (out []publishParams) {
	groups := map[*workshop][]*document{}
	for _, d := range documents {
		switch w := c.workshopOf(d); {
		case w != nil:
			groups[w] = append(groups[w], d)
		case d.path == "":
			name := "untitled"
			out = append(out, d.publish(farm.ReadText(name, []byte(d.text), nil).Faults(), name+".toml", client))
		}
	}
	for w, group := range groups {
		out = append(out, w.check(group, client)...)
	}
	return out
}

// workshopOf gives the workshop of a document; nil for a document that is no file of a farm.
func (c *checker) workshopOf(d *document) *workshop {
	if d.path == "" || !d.isList() && !strings.HasSuffix(d.path, ".toml") {
		return nil
	}
	dirs := c.dirsOf(d.directory())
	var paths []string
	for _, dir := range dirs {
		paths = append(paths, dir.Path)
	}
	name := strings.Join(paths, "\n")
	if c.workshops[name] == nil {
		if len(c.workshops) == maxWorkshops {
			clear(c.workshops)
		}
		c.workshops[name] = &workshop{dirs: dirs}
	}
	return c.workshops[name]
}

// dirsOf gives the directories that are compiled together with a directory: those of the options, if it is among them.
// Answers of DNS, which are in the state directory, are known in any case.
func (c *checker) dirsOf(path string) []farm.Dir {
	same := func(d farm.Dir) bool { return !d.Answers && resolved(d.Path) == resolved(path) }
	if slices.ContainsFunc(c.dirs, same) {
		return c.dirs
	}
	answers := slices.DeleteFunc(slices.Clone(c.dirs), func(d farm.Dir) bool { return !d.Answers })
	own := live.Dir(path)
	own.Optional = true
	return append([]farm.Dir{own}, answers...)
}

// resolved follows links, as far as the path exists.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return filepath.Clean(path)
}

// check compiles the directories with the texts of documents in the place of their files.
func (w *workshop) check(documents []*document, client clientCapabilities) (out []publishParams) {
	var changes []source.Change
	paths := make([]string, len(documents))
	for i, d := range documents {
		paths[i] = w.pathOf(d)
		changes = append(changes, source.Change{Path: paths[i], Text: []byte(d.text)})
	}
	files := &source.Files{}
	dirs := files.Cached(source.WithChanges(w.dirs, changes), w.files, time.Now())
	_, diagnostics := w.compiler.Compile(dirs, func(string) bool { return false })
	w.files = files
	for i, d := range documents {
		out = append(out, d.publish(diagnostics, paths[i], client))
	}
	return out
}

// pathOf gives the path of a document as the compiler names it: its directory as the options write it.
func (w *workshop) pathOf(d *document) string {
	for _, dir := range w.dirs {
		if !dir.Answers && resolved(dir.Path) == resolved(d.directory()) {
			name, err := filepath.Rel(d.directory(), d.path)
			if err == nil {
				return filepath.Join(dir.Path, name)
			}
		}
	}
	return d.path
}

// dropInsEnding is the ending of the name of a directory of drop-ins.
const dropInsEnding = ".toml.d"

// directory gives the directory of farms that the document belongs to.
func (d *document) directory() string {
	dir := filepath.Dir(d.path)
	if strings.HasSuffix(dir, dropInsEnding) {
		return filepath.Dir(dir)
	}
	return dir
}

// isList reports whether the document is a list of networks.
func (d *document) isList() bool { return strings.HasSuffix(d.path, ".list") }

// publish gives the diagnostics about a document, which the compiler knows by a path.
func (d *document) publish(all diag.Diagnostics, path string, client clientCapabilities) publishParams {
	version := d.version
	out := publishParams{URI: d.uri, Version: &version, Diagnostics: []diagnostic{}}
	ends := newEnds(d)
	for _, found := range all {
		if found.Place.File == path {
			out.Diagnostics = append(out.Diagnostics, describe(found, ends, client))
			continue
		}
		for _, note := range found.Also { // the other end of a conflict
			if note.Place.File == path {
				other := found
				other.Place, other.Also = note.Place, []diag.Note{{Place: found.Place, Message: found.Message}}
				out.Diagnostics = append(out.Diagnostics, describe(other, ends, client))
			}
		}
	}
	return out
}

// describe writes a diagnostic as the protocol has it. The hint is a line of the message.
func describe(d diag.Diagnostic, ends *ends, client clientCapabilities) diagnostic {
	out := diagnostic{Range: ends.rangeOf(d.Place), Severity: severityError, Source: "farmc", Message: d.Message}
	if d.Severity == diag.Warning {
		out.Severity = severityWarning
	}
	if d.Hint != "" {
		out.Message += "\nhint: " + d.Hint
	}
	if !client.TextDocument.PublishDiagnostics.RelatedInformation {
		return out
	}
	for _, note := range d.Also {
		if at, err := filepath.Abs(note.Place.File); err == nil {
			out.Related = append(out.Related, related{location{uriOf(at), placeRange(note.Place)}, note.Message})
		}
	}
	return out
}
