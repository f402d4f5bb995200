package main

import (
	"regexp"
	"strings"
)

var special = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "^", `\(ha`, "~", `\(ti`, "`", `\(ga`)

// roff gives text that roff prints as it is.
func roff(text string) string {
	lines := strings.Split(special.Replace(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// An item of a list in plain text is a word, at least two spaces, and what it means; deeper lines go on.
var item = regexp.MustCompile(`^(\S+) {2,}(\S.*)$`)

// A part is a stretch of plain text that roff has to be told of.
type part string

const (
	paragraph part = "paragraph"
	list      part = "list"
	example   part = "example"
	gap       part = "gap"
)

var (
	begins = map[part]string{list: ".RS\n", example: ".PP\n.RS 4\n.nf\n"}
	ends   = map[part]string{list: ".RE\n", example: ".fi\n.RE\n"}
)

// prose turns plain text into roff: paragraphs, lists, and indented lines that stay as they are.
func prose(text string) string {
	var out strings.Builder
	in := paragraph
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		line = strings.TrimSuffix(line, "\n")
		next := partOf(line, in)
		if next != in {
			out.WriteString(ends[in] + begins[next])
		}
		if in == gap && next == paragraph {
			out.WriteString(".PP\n")
		}
		in = next
		if next != gap {
			out.WriteString(lineOf(line, next))
		}
	}
	out.WriteString(ends[in])
	return strings.TrimSuffix(out.String(), "\n")
}

func partOf(line string, in part) part {
	switch {
	case line == "":
		return gap
	case item.MatchString(line), in == list && strings.HasPrefix(line, " "):
		return list
	case strings.HasPrefix(line, "    "):
		return example
	}
	return paragraph
}

func lineOf(line string, in part) string {
	at := item.FindStringSubmatch(line)
	switch {
	case in == list && at != nil:
		return ".TP\n\\fB" + roff(at[1]) + "\\fR\n" + roff(at[2]) + "\n"
	case in == example:
		return roff(strings.TrimPrefix(line, "    ")) + "\n"
	}
	return roff(strings.TrimSpace(line)) + "\n"
}
