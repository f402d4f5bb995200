package live

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"farmc/cmd/internal/source"
	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// requestDir is the directory of farms that are in no file. A path that an administrator gives has no line end.
const requestDir = "\nrequest"

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
	script, diagnostics, err := e.checkCompiled(ctx, c)
	if err != nil && !errors.Is(err, ErrFaulty) {
		return TrialCheck{}, err
	}
	readings := readings(c.incremental.Readings())
	out := TrialCheck{Faults: describeFaults(diagnostics, diag.Fault, readings.find),
		Warnings: describeFaults(diagnostics, diag.Warning, readings.find), Changes: []string{},
		Refused: c.script != nil && err != nil}
	if err == nil {
		out.Changes = append(out.Changes, farm.Changes(s.last.Farms, farm.Describe(script.Farms))...)
	}
	return out, nil
}

// withRequest returns the source files with the farms of a request in a directory of the highest precedence.
func (s *Snapshot) withRequest(texts map[string][]byte) *source.Files {
	base := s.files.sources
	if s.files.script == nil && s.loaded != nil {
		base = s.loaded.sources
	}
	out := &source.Files{Roots: append(slices.Clone(base.Roots), source.Dir{Path: requestDir})}
	out.ByPath = maps.Clone(base.ByPath)
	maps.DeleteFunc(out.ByPath, func(file string, _ source.File) bool {
		name, _ := strings.CutSuffix(source.Item(file), ".toml")
		text, asked := texts[name]
		return asked && text == nil
	})
	for name, text := range texts {
		if text != nil {
			out.Add(source.File{Dir: len(base.Roots), Name: name + ".toml", Text: text})
		}
	}
	return out
}
