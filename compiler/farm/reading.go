package farm

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// A Reading is the result of reading the files of one farm. It does not change.
type Reading struct {
	files  farmFiles
	farm   *Farm // nil if the main file could not be parsed
	faults diag.Diagnostics
	size   size

	interfaces []string // that the farm names, each once

	inherits inheritance
	answers  Answers // that it was read with

	once      sync.Once
	document  json.RawMessage // of Document
	inherited []Inherited     // of Inherited
}

// An Inherited is a value of a farm that comes from the defaults of its directory.
type Inherited struct {
	Key  string `json:"key"` // dotted path, such as "limits.clients"
	File string `json:"file"`
	Line int    `json:"line"`
}

// Readings gives the readings of the last Read, by the names of the farms.
func (c *Cache) Readings() []*Reading { return c.order }

// ReadText reads a farm from one text, without drop-ins and lists. Its Farm is as good as that of Read if no key names
// a list, and if the answers have its hostnames.
func ReadText(name string, text []byte, answers Answers) *Reading {
	main := file{name: name, path: name + ".toml", text: text}
	r := &Reading{files: farmFiles{name: name, main: main}, answers: answers}
	r.parse(nil)
	return r
}

// Name is the name of the farm.
func (r *Reading) Name() string { return r.files.name }

// Farm is the farm, as far as it could be read; nil if the main file is not TOML.
func (r *Reading) Farm() *Farm { return r.farm }

// Answers are the answers of DNS about the hostnames of the farm.
func (r *Reading) Answers() Answers {
	out := Answers{}
	if r.farm != nil {
		for _, h := range r.farm.Hosts {
			out[h.Name] = append([]netip.Addr{}, r.answers[h.Name]...)
		}
	}
	return out
}

// Faults are the faults and warnings about the farm's own files. Conflicts with other farms are not among them.
func (r *Reading) Faults() diag.Diagnostics { return r.faults }

// Sources are the paths of the farm's file and of its drop-ins, in the order in which they are merged.
func (r *Reading) Sources() []string {
	out := []string{r.files.main.path}
	for _, d := range r.files.dropIns {
		out = append(out, d.path)
	}
	return out
}

// Document is the farm as one JSON object: the keys of its file, of the drop-ins, and of the defaults that it inherits,
// without built-in defaults. Tables about single addresses of hostnames are left out. It is nil if the main file is not
// TOML. The document is made at the first call: a reading
// that no program shows costs nothing.
func (r *Reading) Document() json.RawMessage {
	r.once.Do(r.describe)
	return r.document
}

// Without reads the farm without some of its drop-ins; nil if the main file is not TOML. Lists are not read, and faults
// are of no interest: it is for the states and weights of backends.
func (r *Reading) Without(dropIn func(path string) bool) *Farm {
	files := r.files
	files.dropIns = slices.DeleteFunc(slices.Clone(files.dropIns), func(f file) bool { return dropIn(f.path) })
	return (&Reading{files: files, answers: r.answers}).Judged().farm
}

// Judged reads the farm of a reading of ReadOne, and so has its Faults. Lists are not read.
func (r *Reading) Judged() *Reading {
	judged := &Reading{files: r.files, answers: r.answers}
	judged.parse(nil)
	return judged
}

// Mentions reports whether the farm's file or one of its drop-ins has a word, apart from some drop-ins.
func (r *Reading) Mentions(word string, except func(path string) bool) bool {
	return bytes.Contains(r.files.main.text, []byte(word)) || slices.ContainsFunc(r.files.dropIns, func(f file) bool {
		return !except(f.path) && bytes.Contains(f.text, []byte(word))
	})
}

// Inherited gives the values that the farm has from the defaults of its directory, in their order.
func (r *Reading) Inherited() []Inherited {
	r.once.Do(r.describe)
	return r.inherited
}

func (r *Reading) describe() {
	t := r.table()
	if t == nil {
		return
	}
	takeAddressTables(t)
	r.document, _ = json.Marshal(t.Document()) // has no error: JSON can hold a document
	for _, leaf := range t.Leaves() {
		if isDefaults(leaf.Place) {
			r.inherited = append(r.inherited,
				Inherited{strings.Join(leaf.Path, "."), leaf.Place.File, leaf.Place.Line})
		}
	}
}

// table gives the farm's table, merged once more; nil if the main file is not TOML.
func (r *Reading) table() *toml.Table {
	inherits := r.inherits
	return r.files.merged(&inherits, &diag.Diagnostics{})
}

// Defaults gives the path of the file of defaults in the directory of the farm; "" if there is none, or the farm
// inherits nothing.
func (r *Reading) Defaults() string {
	if r.inherits.from == nil {
		return ""
	}
	return r.inherits.from.file.path
}

// Refused gives the keys of the defaults that the farm does not inherit: each has no effect in it.
func (r *Reading) Refused() diag.Diagnostics { return r.inherits.refused }

// KeyAt gives the dotted path of the key at a place in one of the farm's files, or "".
func (r *Reading) KeyAt(at diag.Place) string {
	if at.Line == 0 {
		return ""
	}
	files := append([]file{r.files.main}, r.files.dropIns...)
	if r.files.defaults != nil {
		files = append(files, r.files.defaults.file)
	}
	for _, f := range files {
		if f.path == at.File {
			return toml.KeyAt(f.text, at.Line, at.Column)
		}
	}
	return ""
}
