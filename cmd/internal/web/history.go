package web

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"farmc/cmd/internal/apikey"
	"farmc/cmd/internal/overview"
	"farmc/cmd/internal/statedir"
)

// A historyPage shows the last loads, and the changes since the start.
type historyPage struct {
	Loads   []statedir.HistoryEntry
	Changes overview.Changes
}

// history shows the last loads.
func (s *Site) history(w http.ResponseWriter, v *visit) error {
	var p historyPage
	if err := s.get(v, to("history"), &p); err != nil {
		return err
	}
	if err := s.get(v, to("changes"), &p.Changes); err != nil {
		return err
	}
	s.render(w, v, http.StatusOK, "history", view{Title: "History", Nav: "history", Live: true, Body: p})
	return nil
}

// A rollbackPage shows the changes of a rollback.
type rollbackPage struct {
	Steps   int
	InForce string // markOf the load in force
	Load    statedir.HistoryEntry
	Changes []string
	Error   string
}

// rollbackPreview shows the changes of a rollback before it happens.
func (s *Site) rollbackPreview(w http.ResponseWriter, v *visit) error {
	steps, err := strconv.Atoi(v.PathValue("steps"))
	var all historyPage
	if err == nil {
		err = s.get(v, to("history"), &all)
	}
	if err != nil || steps < 1 || steps >= len(all.Loads) {
		return failure{http.StatusNotFound, "there is no such load in the history"}
	}
	p := rollbackPage{Steps: steps, InForce: markOf(all.Loads[0]), Load: all.Loads[steps]}
	err = s.ask(v, "POST", to("rollback").flag("dry-run"), map[string]int{"steps": steps}, &p)
	var f failure
	switch {
	case errors.As(err, &f) && f.status == http.StatusForbidden, err != nil && !errors.As(err, &f):
		return err
	case err != nil:
		p.Error = f.message
	}
	s.render(w, v, http.StatusOK, "rollback", view{Title: "Roll back", Nav: "history", Body: p})
	return nil
}

// markOf tells loads apart in forms, as the templates do.
func markOf(l statedir.HistoryEntry) string {
	return l.Time.UTC().Format(time.RFC3339) + " " + l.Script
}

// markSlack is the difference of the two times of a load: those of its record and of its entry in the history.
const markSlack = 10 * time.Second

// isMarked reports whether a mark of a form is that of the load.
func isMarked(l statedir.HistoryEntry, mark string) bool {
	text, script, _ := strings.Cut(mark, " ")
	at, err := time.Parse(time.RFC3339, text)
	return err == nil && script == l.Script && l.Time.Sub(at).Abs() <= markSlack
}

// checkLoad returns an error if the load in force is not the one that the page of the form showed. Steps would lead to
// another load, and a confirm would keep farms that the reader has not seen.
func (s *Site) checkLoad(v *visit) error {
	if !v.session.key.May(apikey.WriteAll, "") {
		return nil // the API refuses the request
	}
	var now historyPage
	if err := s.get(v, to("history"), &now); err != nil {
		return err
	}
	if len(now.Loads) == 0 || !isMarked(now.Loads[0], v.PostForm.Get("load")) {
		return failure{http.StatusConflict, "farms were loaded since the page was shown: look at the history again"}
	}
	return nil
}
