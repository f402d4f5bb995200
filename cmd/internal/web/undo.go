package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"farmc/cmd/internal/live"
)

// An outcome has the changes of an action in words, and how to undo it.
type outcome struct {
	ID       int
	Title    string
	Changes  []string
	Warnings []string
	Error    string // "": the action succeeded
	Back     string // path of the page to show
	undo     *change
}

// CanUndo reports whether the outcome offers an undo.
func (o *outcome) CanUndo() bool { return o.undo != nil }

// maxOutcomes is the number of outcomes that a session keeps.
const maxOutcomes = 20

// keep keeps an outcome, and returns its number.
func (s *session) keep(o outcome) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	o.ID = s.next
	if s.outcomes = append(s.outcomes, o); len(s.outcomes) > maxOutcomes {
		s.outcomes = s.outcomes[1:]
	}
	return o.ID
}

// outcome returns the outcome with a number; nil if it is not kept.
func (s *session) outcome(number string) *outcome {
	id, err := strconv.Atoi(number)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.outcomes {
		if o.ID == id {
			return &o
		}
	}
	return nil
}

// takeUndo returns the outcome with a number, and keeps it without its undo: it is done once.
func (s *session) takeUndo(number string) *outcome {
	found := s.outcome(number)
	if found == nil || found.undo == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.outcomes {
		if s.outcomes[i].ID == found.ID {
			if s.outcomes[i].undo == nil {
				return nil
			}
			s.outcomes[i].undo = nil
		}
	}
	return found
}

// undo undoes an action of the session.
func (s *Site) undo(w http.ResponseWriter, v *visit) error {
	o := v.session.takeUndo(v.PostForm.Get("outcome"))
	if o == nil {
		return failure{http.StatusConflict, "the action was undone already, or is too old"}
	}
	return s.act(w, v, action{change: *o.undo, title: "Undone: " + o.Title, back: o.Back})
}

// stateBefore is the document that restores the state of a backend.
func stateBefore(b live.BackendNow, now time.Time) map[string]any {
	out := map[string]any{"state": string(b.State)}
	if b.State == "up" {
		return out
	}
	if !strings.HasPrefix(b.File, "/run/") {
		out["keep"] = true
	}
	if end := parseTime(b.Until); end.After(now.Add(time.Second)) {
		out["for"] = end.Sub(now).Round(time.Second).String()
	}
	return out
}
