package live

import (
	"path"

	"farmc/cmd/internal/source"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// A FarmFault is a fault or a warning about a farm, for programs. File, Line and Column are empty for a farm that is in
// no file; Line and Column also for a fault of a whole file.
type FarmFault struct {
	Farm    string `json:"farm"`
	Key     string `json:"key"` // dotted path, such as "backends.b1.weight"; "": the farm
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// describeFaults returns the diagnostics of a severity. The readings name the keys.
func describeFaults(all diag.Diagnostics, severity diag.Severity,
	reading func(name string) (*farm.Reading, bool)) []FarmFault {
	out := []FarmFault{} // JSON has [] for none
	for _, d := range all {
		if d.Severity != severity || inRequest(d.Place.File) && path.Base(d.Place.File) == farm.DefaultsFile {
			continue
		}
		f := FarmFault{Farm: farmOf(d), File: d.Place.File, Line: d.Place.Line, Column: d.Place.Column,
			Message: d.Message, Hint: d.Hint}
		if r, ok := reading(f.Farm); ok {
			f.Key = r.KeyAt(d.Place)
		}
		if inRequest(f.File) {
			f.File, f.Line, f.Column = "", 0, 0
		}
		out = append(out, f)
	}
	return out
}

// farmOf returns the farm of a diagnostic, or "".
func farmOf(d diag.Diagnostic) string {
	if d.Farm != "" {
		return d.Farm
	}
	return source.FarmOf(source.Item(d.Place.File))
}
