package api

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"farmc/cmd/internal/health"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/manage"
	"farmc/compiler/farm"
	"farmc/compiler/toml"
)

// Bounds of a word.
const (
	maxReason = 200 // bytes
	minLapse  = time.Second
	maxWords  = 100_000 // of a request; about as many with all keys fill the longest body
)

// saying reads a word of a document. The checker has the name of the key if the document names none.
func saying(f *keyReader, b manage.Backend, key string) manage.Saying {
	s := manage.Saying{Backend: b, Word: health.Word{By: f.text("by", maxWord), Healthy: f.flag("healthy"),
		Percent: 100, Reason: f.text("reason", maxReason), For: f.duration("for", minLapse), Said: time.Now(),
		Took: f.duration("took", time.Millisecond), Next: f.duration("next", time.Millisecond),
		Late: f.duration("late", time.Millisecond), Flaps: f.flag("flaps")}}
	if percent, given := f.number("weight", 0, 100); given {
		s.Percent = percent
	}
	if s.By == "" {
		s.By = key
	}
	if f.document["healthy"] == nil {
		f.fault("healthy", "healthy is missing: true or false")
	}
	return s
}

// pathBackend returns the backend of a path.
func pathBackend(r *http.Request) manage.Backend {
	return manage.Backend{Farm: r.PathValue("farm"), Name: r.PathValue("backend")}
}

// putHealth takes a word about a backend.
func (s *Server) putHealth(w http.ResponseWriter, r *http.Request) error {
	_, f, release, err := s.backendDocument(w, r)
	if err != nil {
		return err
	}
	defer release()
	word := saying(f, pathBackend(r), keyOf(r.Context()).Name)
	if err := f.err(); err != nil {
		return err
	}
	return s.say(w, r, word)
}

// deleteHealth takes back the word of the checker in the parameter by, or all words about a backend.
func (s *Server) deleteHealth(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.backend(r); err != nil {
		return err
	}
	by, given := r.URL.Query()["by"]
	if given && (len(by) > 1 || by[0] == "") {
		return malformed("by takes the name of one checker")
	}
	return s.say(w, r, manage.Saying{Backend: pathBackend(r), Word: health.Word{By: r.URL.Query().Get("by")},
		Withdrawn: true}, "by")
}

// say takes one word, and answers with its changes. The request may have the parameters, beside dry-run.
func (s *Server) say(w http.ResponseWriter, r *http.Request, word manage.Saying, parameters ...string) error {
	dry, err := isDryRun(r, parameters...)
	if err != nil {
		return err
	}
	began := time.Now()
	outcome := s.words(r, dry).Say(r.Context(), keyOf(r.Context()).Name, []manage.Saying{word})[0]
	if outcome.Err != nil {
		return writeProblem(live.WriteResult{Err: outcome.Err}, word.Farm)
	}
	writeJSON(w, http.StatusOK, writeAnswer{Changes: append([]string{}, outcome.Changes...),
		Warnings: append([]live.FarmFault{}, outcome.Warnings...), Took: time.Since(began).Seconds(),
		DryRun: dry})
	return nil
}

// words returns the words of checkers with the patience of a request, for a dry run the ones that take none.
func (s *Server) words(r *http.Request, dryRun bool) *manage.Health {
	words := s.Health.WithPatience(patience(r.Header))
	if dryRun {
		return words.WithoutEffect()
	}
	return words
}

// A healthAnswer is the reply to many words.
type healthAnswer struct {
	writeAnswer
	Error  string           `json:"error,omitempty"`
	Faults []live.FarmFault `json:"faults"` // words that were not taken; the others are in force
}

// putAllHealth takes words about backends of many farms, in one load. A word about a farm or a backend that does not
// exist does not keep the others from their effect.
func (s *Server) putAllHealth(w http.ResponseWriter, r *http.Request) error {
	document, release, err := s.readDocument(w, r)
	if err != nil {
		return err
	}
	defer release()
	dry, err := isDryRun(r)
	if err != nil {
		return err
	}
	words, err := sayings(document, keyOf(r.Context()).Name)
	if err != nil {
		return err
	}
	began := time.Now()
	answer, status := healthAnswer{Faults: []live.FarmFault{}}, http.StatusOK
	answer.Changes, answer.Warnings, answer.DryRun = []string{}, []live.FarmFault{}, dry
	seen, busy := map[string]bool{}, 0
	for i, o := range s.words(r, dry).Say(r.Context(), keyOf(r.Context()).Name, words) {
		name := words[i].Farm
		if o.Err != nil {
			answer.Faults = append(answer.Faults, live.FarmFault{Farm: name, Key: "backends." + words[i].Name,
				Message: problemOf(writeProblem(live.WriteResult{Err: o.Err}, name)).Error()})
			if errors.Is(o.Err, live.ErrBusy) {
				busy++
			}
			continue
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		for _, change := range o.Changes {
			answer.Changes = append(answer.Changes, name+": "+change)
		}
		answer.Warnings = append(answer.Warnings, o.Warnings...)
	}
	answer.Took = time.Since(began).Seconds()
	if n := len(answer.Faults); n > 0 {
		status, answer.Error = http.StatusConflict, fmt.Sprintf("%d of %d words are not in force", n, len(words))
		if busy == len(words) { // nothing has changed
			return problem{http.StatusServiceUnavailable, answer.Error, answer.Faults}
		}
	}
	writeJSON(w, status, answer)
	return nil
}

// sayings reads the document of putAllHealth.
func sayings(document map[string]any, key string) ([]manage.Saying, error) {
	top := &keyReader{document: document}
	list, isList := top.take("words").([]any)
	if !isList {
		top.fault("words", "words is a list of words, each with farm, backend and healthy")
	}
	if len(list) > maxWords {
		top.fault("words", "words has %d words, at most %d", len(list), maxWords)
	}
	top.unknown()
	var out []manage.Saying
	for i, item := range list[:min(len(list), maxWords)] {
		if top.isFull() {
			break
		}
		f := &keyReader{at: fmt.Sprintf("words.%d.", i)}
		if f.document, isList = item.(map[string]any); !isList {
			f.fault("", "a word is an object with farm, backend and healthy")
			f.document = map[string]any{}
		} else {
			b := manage.Backend{Farm: f.text("farm", farm.LongestName), Name: f.text("backend", farm.LongestName)}
			out = append(out, saying(f, b, key))
			f.unknown()
		}
		top.faults = append(top.faults, f.faults...)
	}
	return out, faultsProblem(top.faults)
}

// A wordDocument is a word as GET gives it.
type wordDocument struct {
	By      string    `json:"by"`
	Healthy bool      `json:"healthy"`
	Weight  int       `json:"weight"`
	Reason  string    `json:"reason"`
	Said    time.Time `json:"said"`
	For     string    `json:"for"` // "": the word does not lapse
	Lapsed  bool      `json:"lapsed"`
	Took    string    `json:"took"` // of the check; "": unknown
	Next    string    `json:"next"` // RFC 3339, time of the next check; "": unknown
	Flaps   bool      `json:"flaps"`
}

// A wordsAnswer has the words about a backend, and their meaning.
type wordsAnswer struct {
	Healthy   bool           `json:"healthy"`
	Since     string         `json:"since"`  // RFC 3339, when it became so; "": unknown
	Reason    string         `json:"reason"` // of the word that decides; "": unknown
	Weight    int            `json:"weight"` // percent of the weight that counts
	Panic     bool           `json:"panic"`  // it is unhealthy and serves: too few backends of the farm are healthy
	SlowStart bool           `json:"slowStart"`
	Words     []wordDocument `json:"words"`
}

// getHealth answers with the words about a backend, and their meaning.
func (s *Server) getHealth(w http.ResponseWriter, r *http.Request) error {
	now := time.Now()
	record, err := s.Health.Words(pathBackend(r), now)
	if err != nil {
		return err
	}
	v := record.Verdict
	answer := wordsAnswer{Healthy: v.Healthy, Since: timestamp(record.Since), Weight: v.Percent, Panic: v.Panic,
		SlowStart: !record.Rising.IsZero(), Words: []wordDocument{}}
	if v.Down {
		answer.Weight = 0
	}
	if word := record.Deciding(); word != nil {
		answer.Reason = word.Reason
	}
	for _, word := range record.Words {
		answer.Words = append(answer.Words, newWordDocument(word, now))
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func newWordDocument(w health.Word, now time.Time) wordDocument {
	return wordDocument{By: w.By, Healthy: w.Healthy, Weight: w.Percent, Reason: w.Reason,
		Said: w.Said.UTC().Truncate(time.Millisecond), For: period(w.For), Lapsed: w.Lapsed(now), Took: period(w.Took),
		Next: timestamp(w.NextCheck(now)), Flaps: w.Flaps}
}

// period writes a time as farms do; "" for none.
func period(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return toml.FormatDuration(d)
}

// timestamp writes a point in time; "" for an unknown one.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
}
