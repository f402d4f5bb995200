package live

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"farmc/cmd/internal/source"
	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// requestDir is the beginning of the path of a directory of farms that are in no file. A path that an administrator
// gives has no line end.
const requestDir = "\nrequest/"

// inRequest reports whether a file is in a directory of a request.
func inRequest(file string) bool { return strings.HasPrefix(file, requestDir) }

// A TrialCheck is the result of a check of farms that are in no file.
type TrialCheck struct {
	Faults   []FarmFault `json:"faults"`
	Warnings []FarmFault `json:"warnings"`
	Changes  []string    `json:"changes"` // differences to the farms loaded last, one sentence each
	Refused  bool        `json:"-"`       // the faults are complaints of nft
}

// checkRequest checks whether the farms would load if the files had these texts, by the names of the farms. A nil text
// stands for the removal of a farm. Other farms with faults count as they were loaded last.
func (e *Engine) checkRequest(ctx context.Context, s *Snapshot, texts map[string][]byte) (TrialCheck, error) {
	sources := s.withRequest(texts)
	c := compileLocal(&compiler.Compiler{}, sources, sources.Dirs())
	if e.ResolvesHosts && addUnasked(sources, c.incremental.Readings()) {
		c = compileLocal(&compiler.Compiler{}, sources, sources.Dirs())
	}
	script, diagnostics, err := e.checkCompiled(ctx, c)
	if err != nil && !errors.Is(err, ErrFaulty) {
		return TrialCheck{}, err
	}
	readings := Readings(c.incremental.Readings())
	out := TrialCheck{Faults: describeFaults(diagnostics, diag.Fault, readings.Find),
		Warnings: describeFaults(diagnostics, diag.Warning, readings.Find), Changes: []string{},
		Refused: c.script != nil && err != nil}
	if err == nil {
		out.Changes = append(out.Changes, farm.Changes(s.last.Farms, farm.Describe(script.Farms))...)
	}
	return out, nil
}

// withRequest returns the source files with the farms of a request in directories of the highest precedence: one for
// each directory of farms, with its defaults.
func (s *Snapshot) withRequest(texts map[string][]byte) *source.Files {
	base := s.files.sources
	if s.files.script == nil && s.loaded != nil {
		base = s.loaded.sources
	}
	out := &source.Files{Roots: slices.Clone(base.Roots), ByPath: maps.Clone(base.ByPath)}
	for i, root := range base.Roots {
		out.Roots = append(out.Roots, source.Dir{Path: requestDir + strconv.Itoa(i)})
		if defaults, has := base.ByPath[path.Join(root.Path, farm.DefaultsFile)]; has {
			defaults.Dir += len(base.Roots)
			out.Add(defaults)
		}
	}
	maps.DeleteFunc(out.ByPath, func(file string, _ source.File) bool {
		text, asked := texts[source.FarmOf(source.Item(file))]
		return asked && text == nil
	})
	for name, text := range texts {
		if text != nil {
			dir := len(base.Roots) + base.DirOf(name+".toml")
			out.Add(source.File{Dir: dir, Name: name + ".toml", Text: text})
		}
	}
	return out
}
