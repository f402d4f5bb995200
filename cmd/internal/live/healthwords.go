package live

import (
	"fmt"
	"path"
	"strings"
	"time"

	"farmc/cmd/internal/health"
	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
	"farmc/compiler/toml"
)

// A HealthWord is a word of a checker that takes a backend out, or part of its weight.
type HealthWord struct {
	By      string `json:"by"`
	Healthy bool   `json:"healthy"`
	Weight  int    `json:"weight"` // percent of the weight that counts
	Reason  string `json:"reason"`
	Said    string `json:"said"` // RFC 3339
	Took    string `json:"took"` // of the check, such as "12ms"; "": unknown
	Next    string `json:"next"` // RFC 3339, time of the next check; "": unknown
	Flaps   bool   `json:"flaps"`
}

// Records give the records of the backends of a farm that checkers speak about, by name.
type Records func(farm string) map[string]health.Record

func (r Records) of(farm string) map[string]health.Record {
	if r == nil {
		return nil
	}
	return r(farm)
}

// String is the word in a sentence, such as "unhealthy by probe-1: connection refused".
func (w HealthWord) String() string {
	out := "unhealthy by " + w.By
	if w.Healthy {
		out = fmt.Sprintf("weight %d %% by %s", w.Weight, w.By)
	}
	if w.Reason != "" {
		out += ": " + w.Reason
	}
	if w.Took != "" {
		out += " (" + w.Took + ")"
	}
	return out
}

// healthIn returns the records in the drop-ins of farmc, by the names of the drop-ins.
func healthIn(sources *source.Files) map[string]health.Record {
	out := map[string]health.Record{}
	for file, f := range sources.ByPath {
		if f.Err == nil && source.IsHealthDropIn(file) {
			out[path.Join(path.Base(path.Dir(file)), path.Base(file))] = health.Parse(f.Text)
		}
	}
	return out
}

// wordsWithEffect returns the words of a record that take the backend out, or part of its weight.
func wordsWithEffect(r health.Record) []HealthWord {
	out := []HealthWord{}
	for _, w := range r.Words {
		if !w.Healthy || w.Percent < 100 {
			out = append(out, newHealthWord(w))
		}
	}
	return out
}

func newHealthWord(w health.Word) HealthWord {
	out := HealthWord{By: w.By, Healthy: w.Healthy, Weight: w.Percent, Reason: w.Reason, Said: formatTime(w.Said),
		Flaps: w.Flaps}
	if w.Took > 0 {
		out.Took = toml.FormatDuration(w.Took)
	}
	out.Next = formatTime(w.NextCheck(time.Now()))
	return out
}

// addHealth adds the health of the backends of a farm, from drop-ins, and from the memory of this process, which has
// the last words.
func (s *FarmStatus) addHealth(f *farm.Farm, stored, remembered map[string]health.Record) {
	unhealthy, panics := 0, false
	for i := range s.Backends {
		b := &s.Backends[i]
		r, known := remembered[b.Name]
		if !known {
			r, known = stored[source.HealthDropIn(s.Name, b.Name)]
		}
		if b.Health = wordsWithEffect(r); !known {
			r = health.NewRecord()
		}
		if known || f.Checks(b.Name) {
			b.Healthy, b.HealthSince = &r.Verdict.Healthy, formatTime(r.Since)
		}
		b.SlowStart = !r.Rising.IsZero()
		unhealthy += map[bool]int{false: 1}[r.Verdict.Healthy]
		panics = panics || r.Verdict.Panic
	}
	if f.Health != nil {
		s.PanicBelow = f.Health.Panic
	}
	if panics {
		s.Panic = fmt.Sprintf("%d of %d backends are unhealthy, and all serve: fewer than %d%% are healthy", unhealthy,
			len(s.Backends), s.PanicBelow)
	}
}

// StaysOut returns why a backend does not take clients although its state was set to up; "" if it does.
func (p Plan) StaysOut(change StateChange) string {
	if change.State != farm.Up || p.Script == nil || p.compilation == nil {
		return ""
	}
	f := farmNamed(p.Script.Farms, change.Farm)
	if f == nil {
		return ""
	}
	var out []string
	for _, b := range f.Named(change.Backend) {
		var words []string
		for _, w := range wordsWithEffect(healthIn(p.sources)[source.HealthDropIn(f.Name, b.Name)]) {
			words = append(words, w.String())
		}
		if b.State != farm.Up && words != nil {
			out = append(out, fmt.Sprintf("backend %s stays in state %s: %s", b.Name, b.State,
				strings.Join(words, "; ")))
		}
	}
	return strings.Join(out, "; ")
}
