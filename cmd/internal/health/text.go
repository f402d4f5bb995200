package health

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"farmc/compiler/toml"
)

// head is the first line of a drop-in. The lines of its record and of its words begin with recordLine and wordLine.
const (
	head       = "# Written by farmc from the words of health checkers. The next word replaces it.\n"
	recordLine = "# health "
	wordLine   = "# word "
)

// A storedRecord is a record in a drop-in, without its words.
type storedRecord struct {
	Healthy bool      `json:"healthy"`
	Panic   bool      `json:"panic,omitzero"`
	Since   time.Time `json:"since,omitzero"`
	Rising  time.Time `json:"rising,omitzero"` // begin of the slow start
	Base    int       `json:"base,omitzero"`
}

// A storedWord is a word in a drop-in.
type storedWord struct {
	By      string    `json:"by"`
	Healthy bool      `json:"healthy"`
	Percent int       `json:"weight"`
	Reason  string    `json:"reason"`
	For     string    `json:"for"`
	Said    time.Time `json:"said"`
	Took    string    `json:"took,omitzero"`
	Next    string    `json:"next,omitzero"`
	Flaps   bool      `json:"flaps,omitzero"`
}

// Text returns the drop-in of a record, with the record and its words in comments. It has no table if the verdict
// changes nothing. JSON has no line breaks, and words have only printable characters.
func (r Record) Text(backend string) []byte {
	var out strings.Builder
	out.WriteString(head)
	v := r.Verdict
	line(&out, recordLine, storedRecord{v.Healthy, v.Panic, stored(r.Since), stored(r.Rising), v.Base})
	for _, w := range r.Words {
		line(&out, wordLine, storedWord{w.By, w.Healthy, w.Percent, w.Reason, period(w.For), stored(w.Said),
			period(w.Took), period(w.Next), w.Flaps})
	}
	heading := toml.TableHeading("backends", backend)
	switch {
	case v.IsNeutral():
	case v.Down:
		fmt.Fprintf(&out, "%s\nstate = \"down\"\n", heading)
	default:
		fmt.Fprintf(&out, "%s\nweight-percent = %d\n", heading, v.Weight())
	}
	return []byte(out.String())
}

// Weight is how much of the weight counts by the verdict and the files, in percent. Only nothing becomes nothing,
// because nothing drains.
func (v Verdict) Weight() int {
	if v.Percent == 0 || v.Base == 0 {
		return 0
	}
	return max(v.Percent*v.Base/100, 1)
}

func line(out *strings.Builder, beginning string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // texts, numbers and times of this century have a form in JSON
	}
	fmt.Fprintf(out, "%s%s\n", beginning, text)
}

func stored(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Millisecond)
}

func period(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return toml.FormatDuration(max(d.Truncate(time.Millisecond), time.Millisecond))
}

// Parse returns the record in the text of a drop-in, as it was stored. Lines that are neither of the record nor of a
// word or the state are skipped: a person can edit the file. A text without words has the record of a backend without
// any.
func Parse(text []byte) Record {
	r := NewRecord()
	var s *storedRecord
	weight := 100
	for l := range strings.Lines(string(text)) {
		l = strings.TrimSpace(l)
		if rest, isRecord := strings.CutPrefix(l, recordLine); isRecord && json.Unmarshal([]byte(rest), &s) != nil {
			s = nil
		}
		if rest, isWord := strings.CutPrefix(l, wordLine); isWord {
			r.addWord(rest)
		}
		if percent, isWeight := strings.CutPrefix(l, "weight-percent = "); isWeight {
			weight, _ = strconv.Atoi(percent)
		}
		if l == `state = "down"` {
			r.Verdict.Down = true
		}
	}
	if s == nil {
		s = &storedRecord{Healthy: !r.Verdict.Down, Base: 100}
	}
	r.Since, r.Rising, r.Verdict.Healthy, r.Verdict.Panic = s.Since, s.Rising, s.Healthy, s.Panic
	if r.Verdict.Percent = weight; r.Verdict.Down {
		r.Verdict.Percent = 0
	}
	r.Stored = r.Verdict.IsNeutral()
	if !r.Verdict.IsNeutral() && !r.Verdict.Down {
		r.Verdict.Base = s.Base
		r.Verdict.Percent = percentOf(weight, s.Base)
	}
	return r
}

// percentOf is how much of the base a weight is, to which Weight rounded down.
func percentOf(weight, base int) int {
	if base == 0 {
		return 100
	}
	return min((weight*100+base-1)/base, 100)
}

func (r *Record) addWord(text string) {
	var word storedWord
	if json.Unmarshal([]byte(text), &word) == nil && word.By != "" {
		r.Words = append(r.Words, word.word())
	}
}

func (s storedWord) word() Word {
	w := Word{By: s.By, Healthy: s.Healthy, Percent: min(max(s.Percent, 0), 100), Reason: s.Reason, Said: s.Said,
		Flaps: s.Flaps}
	w.For, _ = toml.ParseDuration(s.For)
	w.Took, _ = toml.ParseDuration(s.Took)
	w.Next, _ = toml.ParseDuration(s.Next)
	return w
}
