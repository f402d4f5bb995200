package live

import (
	"fmt"
	"path"
	"strings"
	"time"

	"farmc/cmd/internal/health"
	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
)

// A HealthWord is a word of a checker that takes a backend out, or part of its weight.
type HealthWord struct {
	By      string `json:"by"`
	Healthy bool   `json:"healthy"`
	Weight  int    `json:"weight"` // percent of the weight that counts
	Reason  string `json:"reason"`
	Said    string `json:"said"` // RFC 3339
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
	return out
}

// healthWordsIn returns the words in the drop-ins of farmc that have an effect, by the names of the drop-ins.
func healthWordsIn(sources *source.Files) map[string][]HealthWord {
	out := map[string][]HealthWord{}
	for file, f := range sources.ByPath {
		if f.Err == nil && source.IsHealthDropIn(file) {
			name := path.Join(path.Base(path.Dir(file)), path.Base(file))
			out[name] = wordsIn(f.Text)
		}
	}
	return out
}

// wordsIn returns the words with an effect in the text of a drop-in.
func wordsIn(text []byte) []HealthWord {
	out := []HealthWord{}
	for _, w := range health.Parse(text) {
		if !w.Healthy || w.Percent < 100 {
			out = append(out, HealthWord{w.By, w.Healthy, w.Percent, w.Reason, w.Said.UTC().Format(time.RFC3339)})
		}
	}
	return out
}

// addHealth adds the words about the backends of a farm.
func (f *FarmStatus) addHealth(words map[string][]HealthWord) {
	for i := range f.Backends {
		b := &f.Backends[i]
		if b.Health = []HealthWord{}; len(words) > 0 {
			b.Health = append(b.Health, words[source.HealthDropIn(f.Name, b.Name)]...)
		}
	}
}

// StaysOut returns why a backend does not take clients although its state was set to up; "" if it does.
func (p Plan) StaysOut(change StateChange) string {
	if change.State != farm.Up || p.Script == nil || p.compilation == nil {
		return ""
	}
	var words []string
	for _, w := range healthWordsIn(p.sources)[source.HealthDropIn(change.Farm, change.Backend)] {
		words = append(words, w.String())
	}
	for _, f := range p.Script.Farms {
		if b := backendOf(f, change.Backend); f.Name == change.Farm && b != nil && b.State != farm.Up && words != nil {
			return fmt.Sprintf("backend %s stays in state %s: %s", b.Name, b.State, strings.Join(words, "; "))
		}
	}
	return ""
}
