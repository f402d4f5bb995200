package main

import (
	"regexp"
	"strings"
)

// templateComment is a comment of text/template; (?s) lets it span lines.
var templateComment = regexp.MustCompile(`(?s)\{\{-?\s*/\*(.*?)\*/\s*-?\}\}`)

// templateProse gives the comments of a template, in braces or behind # at the beginning of a line.
func templateProse(_, content string) (prose []paragraph, err error) {
	for _, at := range templateComment.FindAllStringSubmatchIndex(content, -1) {
		first := 1 + strings.Count(content[:at[2]], "\n")
		prose = append(prose, paragraphs(numbered(content[at[2]:at[3]], first))...)
	}
	var lines []proseLine
	for _, line := range numbered(content, 1) {
		text, _ := strings.CutPrefix(strings.TrimSpace(line.text), "#")
		if !strings.HasPrefix(strings.TrimSpace(line.text), "#") {
			text = ""
		}
		lines = append(lines, proseLine{line.number, text})
	}
	return append(prose, paragraphs(lines)...), nil
}

// numbered splits the text into lines, the first of which has the number.
func numbered(text string, first int) (lines []proseLine) {
	for i, line := range strings.Split(text, "\n") {
		lines = append(lines, proseLine{first + i, line})
	}
	return lines
}
