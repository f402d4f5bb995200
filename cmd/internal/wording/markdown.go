package main

import "strings"

// markdownProse gives the text of a Markdown file without its code blocks. A heading and a cell of a table are
// paragraphs of their own.
func markdownProse(_, content string) ([]paragraph, error) {
	var lines []proseLine
	add := func(number int, texts ...string) {
		for _, text := range texts {
			lines = append(lines, proseLine{number, text})
		}
	}
	blocks := blocks{blank: true}
	for _, line := range numbered(content, 1) {
		text := strings.TrimSpace(line.text)
		switch {
		case blocks.code(line.text):
			add(line.number, "")
		case strings.HasPrefix(text, "#"):
			add(line.number, "", strings.TrimLeft(text, "# "), "")
		case strings.HasPrefix(text, "|"):
			for _, cell := range strings.Split(text, "|") {
				add(line.number, cell, "")
			}
		default:
			add(line.number, line.text)
		}
	}
	return paragraphs(lines), nil
}

// blocks is the state of a reader that tells code blocks from text.
type blocks struct {
	fence string // that ends the block in which the reader is: ``` or ~~~
	list  bool   // within a list, where indented lines are text
	blank bool   // the line before was blank, or code
}

// code tells if the next line is code: between fences, or indented by four spaces or a tab after a blank line.
func (b *blocks) code(line string) bool {
	text := strings.TrimSpace(line)
	indented := strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t")
	switch {
	case b.fence != "":
		if strings.HasPrefix(text, b.fence) {
			b.fence = ""
		}
		return true
	case strings.HasPrefix(text, "```"), strings.HasPrefix(text, "~~~"):
		b.fence = text[:3]
		return true
	case text == "":
		b.blank = true
		return false
	case indented && b.blank && !b.list:
		return true
	}
	if !indented {
		b.list = listItem.MatchString(line)
	}
	b.blank = false
	return false
}
