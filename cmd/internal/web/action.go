package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/source"
)

// A change is a request to the API that changes something.
type change struct {
	method string
	to     apiPath
	body   any
}

// A reply is the reply of the API to a change.
type reply struct {
	Changes  []string
	Warnings []live.FarmFault
	Client   string  // of a ban
	Left     float64 // seconds to confirm a load; 0: nothing to confirm
	Cut      *int
}

// setState drains a backend, takes it out, or ends that.
func (s *Site) setState(w http.ResponseWriter, v *visit) error {
	farm, backend := v.PathValue("farm"), v.PathValue("backend")
	at := to("farms", farm, "backends", backend, "state")
	var before live.BackendNow
	if err := s.get(v, at, &before); err != nil {
		return err
	}
	wanted := stateForm(v)
	if !strings.HasSuffix(before.File, "/"+source.StateDropIn(farm, backend)) {
		before.State = "up" // by a command: other files and checkers keep their word
	}
	return s.act(w, v, action{change: change{"PUT", at, wanted}, back: farmPath(farm),
		title: stateTitles[v.PostForm.Get("state")] + farm + " " + backend,
		undo:  &change{"PUT", at, stateBefore(before, s.now())}, read: s.stateAt(at)})
}

// stateTitles are the words for changes of a state.
var stateTitles = map[string]string{"up": "Ended the drain or down of ", "drain": "Drained ", "down": "Took down "}

// stateForm reads the form of a state.
func stateForm(v *visit) map[string]any {
	out := map[string]any{"state": v.PostForm.Get("state")}
	if text := v.PostForm.Get("for"); text != "" && out["state"] != "up" {
		out["for"] = text
	}
	for _, flag := range []string{"keep", "cut"} {
		if v.PostForm.Get(flag) != "" && out["state"] != "up" {
			out[flag] = true
		}
	}
	return out
}

// setWeight sets the weight of a backend, or ends that.
func (s *Site) setWeight(w http.ResponseWriter, v *visit) error {
	farm, backend := v.PathValue("farm"), v.PathValue("backend")
	wanted := map[string]any{"weight": nil}
	if text := strings.TrimSpace(v.PostForm.Get("weight")); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return failure{http.StatusBadRequest, "the weight is not a number"}
		}
		wanted["weight"] = n
		if text := v.PostForm.Get("for"); text != "" {
			wanted["for"] = text
		}
	}
	before, err := s.weightNow(v, farm, backend)
	if err != nil {
		return err
	}
	at := to("farms", farm, "backends", backend, "weight")
	return s.act(w, v, action{change: change{"PUT", at, wanted}, title: "Set the weight of " + farm + " " + backend,
		back: farmPath(farm), undo: &change{"PUT", at, before.document()},
		read: s.weightOf(farm, backend)})
}

// ban bans a client.
func (s *Site) ban(w http.ResponseWriter, v *visit) error {
	farm, client := v.PathValue("farm"), strings.TrimSpace(v.PostForm.Get("client"))
	if client == "" || strings.ContainsAny(client, "/\\") {
		return failure{http.StatusBadRequest, "a client is an address, such as 198.51.100.7"}
	}
	wanted := map[string]any{}
	if text := v.PostForm.Get("for"); text != "" {
		wanted["for"] = text
	}
	at := to("farms", farm, "bans", client)
	undo, err := s.undoBan(v, at)
	if err != nil {
		return err
	}
	return s.act(w, v, action{change: change{"PUT", at, wanted}, title: "Banned " + client + " from " + farm,
		back: farmPath(farm), undo: undo, read: s.banAt(at)})
}

// unban ends the ban of a client.
func (s *Site) unban(w http.ResponseWriter, v *visit) error {
	farm, client := v.PathValue("farm"), v.PostForm.Get("client")
	address, _, _ := strings.Cut(client, "/")
	if address == "" {
		return failure{http.StatusBadRequest, "the form has no client"}
	}
	at := to("farms", farm, "bans", address)
	undo, err := s.undoBan(v, at)
	if err != nil {
		return err
	}
	return s.act(w, v, action{change: change{"DELETE", at, nil}, title: "Ended the ban of " + client + " from " + farm,
		back: farmPath(farm), undo: undo, read: s.banAt(at)})
}

// confirm keeps the load on trial.
func (s *Site) confirm(w http.ResponseWriter, v *visit) error {
	if err := s.checkLoad(v); err != nil {
		return err
	}
	return s.act(w, v, action{change: change{"POST", to("confirm"), nil}, title: "Confirmed the load",
		back: "/ui/history", note: "From now on a rollback brings the farms before back."})
}

// rollback loads the farms of an earlier load.
func (s *Site) rollback(w http.ResponseWriter, v *visit) error {
	steps, err := strconv.Atoi(v.PostForm.Get("steps"))
	if err != nil {
		return failure{http.StatusBadRequest, "the form has no number of loads"}
	}
	if err := s.checkLoad(v); err != nil {
		return err
	}
	return s.act(w, v, action{change: change{"POST", to("rollback"), map[string]int{"steps": steps}},
		title: "Rolled back", back: "/ui/problems", undo: s.undoRollback(v), read: s.inForce})
}

func farmPath(farm string) string { return "/ui/farms/" + url.PathEscape(farm) }

// An action is a change with the words about it.
type action struct {
	change
	title string
	back  string  // path of the page to show then
	undo  *change // nil: it cannot be undone
	read  reader  // of the setting that it changes
	note  string  // about the outcome; "": none
}

// act does an action, and shows the page with its outcome. A request that the key does not permit has no outcome.
func (s *Site) act(w http.ResponseWriter, v *visit, a action) error {
	var done reply
	err := s.ask(v, a.method, a.to, a.body, &done)
	if err != nil && statusOf(err) == http.StatusForbidden {
		return err
	}
	o := outcome{Title: a.title, Back: a.back}
	if err != nil {
		o.Title, o.Error = "Refused: "+a.title, err.Error()
	} else {
		o.Changes = bounded(done.Changes)
		o.undo, o.left = a.undoNow(v)
		for _, warning := range done.Warnings {
			o.Warnings = append(o.Warnings, warning.Message)
		}
		o.Warnings = bounded(o.Warnings)
		if done.Cut != nil {
			o.Changes = append(o.Changes, plural(*done.Cut, "open connection was cut", "open connections were cut"))
		}
		if done.Left > 0 {
			o.Changes = append(o.Changes, "the load waits to be confirmed, "+secondsWords(done.Left)+" left")
		}
		if a.note != "" {
			o.Changes = append(o.Changes, a.note)
		}
		if a.isWrite() && len(done.Changes) == 0 {
			o.Changes = []string{"the rules stay as they are"} // a checker's word, or another file, decides
		}
	}
	s.show(w, v, o)
	return nil
}

// maxItems is the number of changes in an outcome.
const maxItems = 50

// bounded returns the first items, and the number of the others.
func bounded(items []string) []string {
	if more := len(items) - maxItems; more > 0 {
		return append(slices.Clone(items[:maxItems]), plural(more, "more", "more"))
	}
	return items
}

// isWrite reports whether the reply has the changes of the action.
func (a action) isWrite() bool { return a.to.path != "/v1/confirm" }

// show keeps an outcome, and sends the browser to the page that shows it.
func (s *Site) show(w http.ResponseWriter, v *visit, o outcome) {
	id := v.session.keep(o)
	http.Redirect(w, v.Request, o.Back+"?done="+strconv.Itoa(id)+"#outcome", http.StatusSeeOther)
}
