package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/source"
)

// A setting is a state, a weight or a ban as a page found it. Another session may change it at any time.
type setting struct {
	words string
	end   time.Time                       // zero: none
	again func(v *visit) (setting, error) // reads it anew
}

// endSlack is the difference of two readings of one end: the kernel tells the time that is left of a ban.
const endSlack = 3 * time.Second

// equals reports whether two readings have one setting.
func (s setting) equals(other setting) bool {
	return s.words == other.words && s.end.IsZero() == other.end.IsZero() &&
		s.end.Sub(other.end).Abs() <= endSlack
}

// A reader reads the setting that an action changes.
type reader func(v *visit) (setting, error)

// stateAt returns the reader of a state.
func (s *Site) stateAt(at apiPath) reader {
	return func(v *visit) (setting, error) {
		var now live.BackendNow
		err := s.get(v, at, &now)
		words := string(now.State)
		if now.File != "" {
			words += " by " + now.File
		}
		return setting{words: words, end: parseTime(now.Until)}, err
	}
}

// stateBefore is the document that restores the state of a backend.
func stateBefore(b live.BackendNow, now time.Time) map[string]any {
	out := map[string]any{"state": string(b.State)}
	if b.State == "up" {
		return out
	}
	if outlasts(b.File, b) {
		out["keep"] = true
	}
	if end := parseTime(b.Until); end.After(now.Add(time.Second)) {
		out["for"] = end.Sub(now).Round(time.Second).String()
	}
	return out
}

// outlasts reports whether a file of a state or a weight outlasts a reboot.
func outlasts(file string, b live.BackendNow) bool {
	return b.KeepDir != "" && strings.HasPrefix(file, strings.TrimSuffix(b.KeepDir, "/")+"/")
}

// weightOf returns the reader of a weight.
func (s *Site) weightOf(farm, backend string) reader {
	return func(v *visit) (setting, error) {
		now, err := s.weightNow(v, farm, backend)
		if now.file == "" {
			return setting{words: "the weight of the files"}, err
		}
		return setting{words: strconv.Itoa(now.weight) + " by " + now.file}, err
	}
}

// A weight is a weight that an earlier request or command has set.
type weight struct {
	weight int
	file   string // "": none has
	lasts  bool   // it outlasts a reboot
}

// document is the document that restores the weight. The time that was left of it is not known.
func (w weight) document() map[string]any {
	switch {
	case w.file == "":
		return map[string]any{"weight": nil}
	case !w.lasts:
		return map[string]any{"weight": w.weight}
	}
	return map[string]any{"weight": w.weight, "keep": true}
}

// weightNow returns the weight of a backend that a request or a command has set.
func (s *Site) weightNow(v *visit, farm, backend string) (weight, error) {
	var of struct{ Sources []string }
	var now live.BackendNow
	if err := s.get(v, to("overview", farm), &of); err != nil {
		return weight{}, err
	}
	if err := s.get(v, to("farms", farm, "backends", backend, "state"), &now); err != nil {
		return weight{}, err
	}
	for _, file := range of.Sources {
		if strings.HasSuffix(file, "/"+source.WeightDropIn(farm, backend)) {
			return weight{now.Weight, file, outlasts(file, now)}, nil
		}
	}
	return weight{}, nil
}

// inForce reads the load in force.
func (s *Site) inForce(v *visit) (setting, error) {
	var now historyPage
	if err := s.get(v, to("history"), &now); err != nil {
		return setting{}, err
	}
	if len(now.Loads) == 0 {
		return setting{words: "no load"}, nil
	}
	return setting{words: "the load of " + markOf(now.Loads[0])}, nil
}

// undoConfirm is the time to confirm the load that undoes a rollback.
const undoConfirm = "5m"

// undoRollback returns the change that undoes a rollback: it loads the files once more, on trial. It is nil if the
// files are not loaded now.
func (s *Site) undoRollback(v *visit) *change {
	var now struct{ Changes []string }
	err := s.ask(v, "POST", to("apply").flag("dry-run"), map[string]any{}, &now)
	if err != nil || len(now.Changes) > 0 {
		return nil
	}
	return &change{"POST", to("apply"), map[string]any{"confirm": undoConfirm}}
}

// banAt returns the reader of a ban.
func (s *Site) banAt(at apiPath) reader {
	return func(v *visit) (setting, error) {
		var now live.BanStatus
		switch err := s.get(v, at, &now); {
		case err != nil && statusOf(err) == http.StatusNotFound:
			return setting{words: "no ban"}, nil
		case err != nil, now.Left == 0:
			return setting{words: "a ban without an end"}, err
		}
		end := s.now().Add(time.Duration(now.Left * float64(time.Second)))
		return setting{words: "a ban until " + end.UTC().Format(time.TimeOnly) + " UTC", end: end}, nil
	}
}

// undoBan returns the change that restores the ban of a client as it is now, or its absence.
func (s *Site) undoBan(v *visit, at apiPath) (*change, error) {
	var now live.BanStatus
	switch err := s.get(v, at, &now); {
	case err != nil && statusOf(err) == http.StatusNotFound:
		return &change{"DELETE", at, nil}, nil
	case err != nil:
		return nil, err
	}
	again := map[string]any{}
	if now.Left >= 1 {
		again["for"] = fmt.Sprintf("%.0fs", now.Left)
	}
	return &change{"PUT", at, again}, nil
}
