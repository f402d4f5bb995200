package main

import (
	"fmt"
	"regexp"
	"strings"

	"farmc/cmd/internal/reference"
)

// keysInMarkdown gives the sections of farms.d(5) that explain the keys, one for each table.
func keysInMarkdown(tables []reference.Table) string {
	var out strings.Builder
	for _, t := range tables {
		heading := "KEYS OF A FARM"
		if t.Name != "" {
			heading = "KEYS OF [" + t.Name + "]"
		}
		fmt.Fprintf(&out, "## %s\n\n", heading)
		if t.Name != "" && t.About != "" {
			out.WriteString(blocks(t.About, "") + "\n")
		}
		out.WriteString("<!-- The keys are a list of their own. -->\n\n")
		for _, k := range t.Keys {
			out.WriteString(keyInMarkdown(k))
		}
	}
	return out.String()
}

// keyInMarkdown is the key as an entry of a definition list.
func keyInMarkdown(k reference.Key) string {
	about := k.Short
	if k.Short != "" && k.About != "" {
		about += "\n\n"
	}
	about = strings.TrimPrefix(blocks(about+k.About, "    "), "    ")
	return fmt.Sprintf("**%s** = %s\n\n:   %s\n", k.Name, literal(k.Value), about)
}

// listItem matches an entry of a list in a comment: a word, at least two spaces, its meaning. Deeper lines go on.
var listItem = regexp.MustCompile(`^(\S+) {2,}(\S.*)$`)

// blocks gives a comment as paragraphs and lists, each line indented.
func blocks(comment, indent string) string {
	var out strings.Builder
	inList := false
	for line := range strings.Lines(comment) {
		line = strings.TrimSuffix(line, "\n")
		switch at := listItem.FindStringSubmatch(line); {
		case line == "":
			inList = false
			out.WriteString("\n")
			continue
		case at != nil:
			if !inList && out.Len() > 0 {
				out.WriteString("\n")
			}
			inList = true
			line = "* **" + literal(at[1]) + "**: " + literal(at[2])
		case inList && strings.HasPrefix(line, " "):
			line = "  " + literal(strings.TrimSpace(line))
		case inList:
			inList = false
			line = "\n" + indent + literal(line)
		default:
			line = literal(line)
		}
		out.WriteString(indent + line + "\n")
	}
	return out.String()
}

var escapes = strings.NewReplacer(
	`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`, "]", `\]`, "<", `\<`, ">", `\>`)

// literal gives text that Markdown prints as it is.
func literal(text string) string { return escapes.Replace(text) }
