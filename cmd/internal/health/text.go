package health

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"farmc/compiler/toml"
)

// head is the first line of a drop-in, and wordLine the beginning of the lines of its words.
const (
	head     = "# Written by farmc from the words of health checkers. The next word replaces it.\n"
	wordLine = "# word "
)

// A storedWord is a word in a drop-in.
type storedWord struct {
	By      string    `json:"by"`
	Healthy bool      `json:"healthy"`
	Percent int       `json:"weight"`
	Reason  string    `json:"reason"`
	For     string    `json:"for"`
	Said    time.Time `json:"said"`
}

// Text returns the drop-in of a verdict, with the words in comments. The name is that of a backend that exists, so it
// needs no quotes. JSON has no line breaks, and words have only printable characters.
func (v Verdict) Text(backend string, words []Word) []byte {
	var out strings.Builder
	out.WriteString(head)
	for _, w := range words {
		stored := storedWord{w.By, w.Healthy, w.Percent, w.Reason, "", w.Said.UTC().Truncate(time.Second)}
		if w.For > 0 {
			stored.For = toml.FormatDuration(w.For)
		}
		line, err := json.Marshal(stored)
		if err != nil {
			panic(err) // texts, numbers and times of this century have a form in JSON
		}
		fmt.Fprintf(&out, "%s%s\n", wordLine, line)
	}
	fmt.Fprintf(&out, "[backends.%s]\n", backend)
	if v.Down {
		out.WriteString("state = \"down\"\n")
	} else {
		fmt.Fprintf(&out, "weight-percent = %d\n", v.Percent)
	}
	return []byte(out.String())
}

// Parse returns the words in the text of a drop-in. Lines that are no words are skipped: a person can edit the file.
func Parse(text []byte) (words []Word) {
	for line := range bytes.Lines(text) {
		rest, isWord := bytes.CutPrefix(line, []byte(wordLine))
		var stored storedWord
		if !isWord || json.Unmarshal(rest, &stored) != nil || stored.By == "" {
			continue
		}
		lasting, _ := toml.ParseDuration(stored.For)
		words = append(words, Word{stored.By, stored.Healthy, min(max(stored.Percent, 0), 100), stored.Reason, lasting,
			stored.Said})
	}
	return words
}
