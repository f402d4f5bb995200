package web

import (
	"errors"
	"net/http"
	"strings"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/overview"
)

// maxDiff is the number of lines of a diff that a page shows.
const maxDiff = 2000

// A problemsPage shows the faults of the last load, and the changes that are not loaded.
type problemsPage struct {
	overview.Page
	Difference live.Difference
	Diff       []diffLine
	More       int // lines of the diff that are left out
	Error      string
}

// A diffLine is a line of a unified diff.
type diffLine struct {
	Text string
	Kind string // added, removed, place, or same
}

// problems shows the faults in the files, and the changes that are not loaded.
func (s *Site) problems(w http.ResponseWriter, v *visit) error {
	var p problemsPage
	if err := s.get(v, to("overview").with("size", "1"), &p.Page); err != nil {
		return err
	}
	err := s.get(v, to("diff"), &p.Difference)
	var f failure
	switch {
	case errors.As(err, &f) && len(p.Faults) == 0:
		p.Error = f.message
	case err != nil && !errors.As(err, &f):
		return err
	}
	p.Diff, p.More = diffLines(p.Difference.Diff)
	s.render(w, v, http.StatusOK, "problems", view{Title: "Load", Nav: "problems", Live: true, Body: p})
	return nil
}

func diffLines(text string) (out []diffLine, more int) {
	for line := range strings.Lines(text) {
		if len(out) == maxDiff {
			more++
			continue
		}
		line = strings.TrimRight(line, "\n")
		kind := "same"
		switch {
		case strings.HasPrefix(line, "@@"), strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"):
			kind = "place"
		case strings.HasPrefix(line, "+"):
			kind = "added"
		case strings.HasPrefix(line, "-"):
			kind = "removed"
		}
		out = append(out, diffLine{line, kind})
	}
	return out, more
}
