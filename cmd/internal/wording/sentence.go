package main

import (
	"regexp"
	"strings"
)

// pointing are the words that point at a thing in place of its name.
var pointing = regexp.MustCompile(
	`(?i)\b(what|whom|whose|those|nobody|somebody|anybody|everybody|whoever|whatever)\b`)

// A proseLine is one line of prose, without the comment's marks.
type proseLine struct {
	number int // in its file, from 1
	text   string
}

// A paragraph is lines that belong together. A sentence does not go on in the next paragraph.
type paragraph []proseLine

// A sentence is at least four words, and begins in the line.
type sentence struct {
	line int
	text string
}

// shortest is the number of words from which on a sentence is counted.
const shortest = 4

// sentenceEnd is a full stop, exclamation or question mark, perhaps in quotation marks or brackets, before a space.
var sentenceEnd = regexp.MustCompile(`[.!?]["')*_]*(\s+)`)

// quoted is code in backquotes.
var quoted = regexp.MustCompile("`[^`]*`")

// sentences splits the paragraph. Code in backquotes counts as one word.
func (p paragraph) sentences() (found []sentence) {
	text, starts := p.join()
	begin := 0
	add := func(end int) {
		words := strings.TrimSpace(text[begin:end])
		if len(strings.Fields(words)) >= shortest {
			found = append(found, sentence{p.lineAt(begin, starts), quoted.ReplaceAllString(words, "``")})
		}
	}
	for _, at := range sentenceEnd.FindAllStringSubmatchIndex(text, -1) {
		add(at[2])
		begin = at[3]
	}
	add(len(text))
	return found
}

// join makes one text of the lines, and gives the offset at which each begins.
func (p paragraph) join() (text string, starts []int) {
	var joined strings.Builder
	for _, line := range p {
		starts = append(starts, joined.Len())
		joined.WriteString(line.text + " ")
	}
	return joined.String(), starts
}

// lineAt gives the number of the line that holds the offset.
func (p paragraph) lineAt(offset int, starts []int) int {
	number := 0
	for i, start := range starts {
		if start <= offset {
			number = p[i].number
		}
	}
	return number
}

// listItem begins a paragraph of its own.
var listItem = regexp.MustCompile(`^\s*([-*+]|[0-9]+[.)])\s`)

// paragraphs splits lines at blank lines and before items of a list.
func paragraphs(lines []proseLine) (found []paragraph) {
	var current paragraph
	end := func() {
		if len(current) > 0 {
			found = append(found, current)
		}
		current = nil
	}
	for _, line := range lines {
		text := strings.TrimSpace(line.text)
		if text == "" || listItem.MatchString(line.text) {
			end()
		}
		if text != "" {
			current = append(current, proseLine{line.number, listItem.ReplaceAllString(text, "")})
		}
	}
	end()
	return found
}
