package web

import (
	"net/http"
	"strconv"
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
	left     setting // by the action; an undo needs it as it was
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
	title := "Undone: " + o.Title
	now, err := o.left.again(v)
	switch {
	case err != nil:
		return err
	case !now.equals(o.left):
		s.show(w, v, outcome{Title: "Refused: " + title, Back: o.Back,
			Error: "it was changed since then: it is now " + now.words})
		return nil
	}
	return s.act(w, v, action{change: *o.undo, title: title, back: o.Back})
}

// undoNow returns the undo of an action that was done, and the setting that it left; nil if that cannot be read.
func (a action) undoNow(v *visit) (*change, setting) {
	if a.undo == nil {
		return nil, setting{}
	}
	left, err := a.read(v)
	if err != nil {
		return nil, setting{}
	}
	left.again = a.read
	return a.undo, left
}
