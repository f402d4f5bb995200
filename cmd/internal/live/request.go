package live

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

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
func (s *Snapshot) withRequest(texts map[string][]byte) *SourceFiles {
	base := s.files.sources
	if s.files.script == nil && s.loaded != nil {
		base = s.loaded.sources
	}
	out := &SourceFiles{dirs: append(slices.Clone(base.dirs), sourceDir{path: requestDir})}
	out.files = maps.Clone(base.files)
	maps.DeleteFunc(out.files, func(file string, _ sourceFile) bool {
		name, _ := strings.CutSuffix(farmOrList(file), ".toml")
		text, asked := texts[name]
		return asked && text == nil
	})
	for name, text := range texts {
		if text != nil {
			out.add(sourceFile{dir: len(base.dirs), name: name + ".toml", text: text})
		}
	}
	return out
}
