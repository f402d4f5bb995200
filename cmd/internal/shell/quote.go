// Package shell quotes words for the commands in hints, which administrators paste into a shell as root.
//
// The quoting is the one of mvdan.cc/sh, for bash: characters that are not printable become escapes in $'…'. So the
// word survives the terminal, and names the same file.
package shell

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Quote returns a word of a command line that stands for the text. A text with a NUL byte, which no file name has,
// becomes an empty word.
func Quote(text string) string {
	quoted, err := syntax.Quote(text, syntax.LangBash)
	if err != nil {
		return "''"
	}
	return quoted
}

// Path is Quote for the name of a file, which a command does not take for an option.
func Path(name string) string {
	if strings.HasPrefix(name, "-") {
		name = "./" + name
	}
	return Quote(name)
}
