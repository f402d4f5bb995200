package toml

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"farmc/compiler/diag"
	burntsushi "github.com/BurntSushi/toml"
)

// unreadable finds faults that make a text unreadable. Toml takes an empty file, and tells other places of the rest.
func (p *positions) unreadable() (diag.Diagnostic, bool) {
	if Blank([]byte(p.text)) {
		return diag.Diagnostic{Place: diag.Place{File: p.file}, Message: "the file is empty",
			Hint: "an editor may have been stopped in the middle; to mask a farm, link its name to /dev/null"}, true
	}
	start := 0 // of the line
	for i, r := range p.text {
		if r == '\n' {
			start = i + 1
		}
		if i-start > maxLine {
			return diag.Diagnostic{Place: diag.Place{File: p.file},
				Message: fmt.Sprintf(
					"line %d is longer than %d bytes",
					strings.Count(p.text[:start], "\n")+1,
					maxLine,
				)}, true
		}
		if message, hint := invalidRune(p.text[i:], r); message != "" {
			return diag.Diagnostic{Place: p.at(i), Message: message, Hint: hint}, true
		}
	}
	return diag.Diagnostic{}, false
}

// maxLine is the length of a line in bytes. A key of 4 MB takes the decoder 12 s and 1.6 GB.
const maxLine = 1 << 18

// invalidRune gives the fault of the rune r at the beginning of a text.
func invalidRune(text string, r rune) (message, hint string) {
	switch {
	case r == utf8.RuneError && !strings.HasPrefix(text, "\ufffd"):
		return fmt.Sprintf("byte 0x%02x is not UTF-8", text[0]), "save the file as UTF-8"
	case r >= ' ' && r != 0x7f || r == '\t' || r == '\n' || strings.HasPrefix(text, "\r\n"):
		return "", ""
	case r == 0:
		return "byte 0x00 in a text", "the file may be UTF-16, to be saved as UTF-8, or damaged by a crash"
	case r == '\r':
		return "carriage return without line feed", "a line ends with a line feed, or with both"
	}
	return fmt.Sprintf("control character 0x%02x", r), fmt.Sprintf(`a string may hold it as "\u%04x"`, r)
}

// explain turns toml's complaint into ours.
func (p *positions) explain(err error) diag.Diagnostic {
	var syntax burntsushi.ParseError
	if !errors.As(err, &syntax) {
		return diag.Diagnostic{Place: diag.Place{File: p.file}, Message: err.Error()}
	}
	at := p.offsetOf(syntax.Position)
	d := diag.Diagnostic{Place: p.at(at), Message: reword(syntax.Message), Hint: hintAt(syntax.Message, p.text[at:])}
	if before, ok := p.earlierKey(syntax.Message, at); ok {
		d.Also = []diag.Note{{Place: before, Message: "it is here already"}}
	}
	return d
}

// offsetOf is the offset of toml's position. Its Col is no help: it is wrong at the start of a line, and counts bytes.
// At the end of the file Start may be inside of the last character.
func (p *positions) offsetOf(at burntsushi.Position) int {
	offset := max(0, min(at.Start, len(p.text)))
	for offset < len(p.text) && offset > 0 && !utf8.RuneStart(p.text[offset]) {
		offset--
	}
	return offset
}

// reword says toml's message as we do: lower case, no full stop, no escapes for characters that an author cannot see.
func reword(message string) string {
	message = strings.NewReplacer(
		`'\n'`, "the end of the line",
		`'\x00'`, "the end of the file",
		"a top-level item to end with a newline, comment, or EOF", "the line to end here",
		"unexpected EOF", "unexpected end of the file",
	).Replace(message)
	return strings.ToLower(message[:1]) + strings.TrimSuffix(message[1:], ".")
}

// hintAt gives the right form of a text that is written as in another format; else hintFor gives it.
func hintAt(message, text string) string {
	switch {
	case strings.ContainsAny(message, "“”„‘’«»"):
		return `quotes are straight, as in mode = "snat"`
	case strings.HasPrefix(text, "//"):
		return "a comment begins with #"
	case strings.HasPrefix(message, "expected '.' or '='") && strings.HasPrefix(text, ":"):
		return `"=" stands between a key and its value: farms are TOML, not YAML`
	case strings.HasPrefix(message, "expected '.' or '='") && strings.HasPrefix(text, "{"):
		return `farms are TOML: key = "value", and tables such as [backends.b1]`
	case strings.HasPrefix(text, ";"):
		return "a line ends without a semicolon"
	case strings.HasPrefix(message, "expected a comma"):
		return `a list ends with ], as in ["10.0.0.11", "fd00::11"]`
	}
	return hintFor(message)
}

// hintFor gives the right form where toml's message lacks it.
func hintFor(message string) string {
	for _, known := range []struct{ beginning, advice string }{
		{"expected value but found", inQuotes},
		{"expected a top-level item to end", inQuotes},
		{"Invalid float", inQuotes},
		{"invalid datetime", inQuotes},
		{"strings cannot contain newlines", "the closing quote is missing"},
		{"invalid escape in string", "a backslash is written twice, or the string in single quotes"},
		{"expected '.' or '='", `a line is a key, "=" and a value, or the name of a table in brackets`},
	} {
		if strings.HasPrefix(message, known.beginning) {
			return known.advice
		}
	}
	return ""
}

const inQuotes = `text stands in quotes, as in timeout = "5m"; a flag is true or false`

// earlierKey finds the key that was there before the one at the offset, if toml says that it is there twice.
func (p *positions) earlierKey(message string, offset int) (diag.Place, bool) {
	_, key, _ := strings.Cut(message, "'")
	key, told, _ := strings.Cut(key, "' ")
	if !strings.HasPrefix(told, "has already been") && !strings.HasPrefix(told, "was already") {
		return diag.Place{}, false
	}
	marks, _ := scanKeys(p.text[:offset])
	for _, f := range slices.Backward(flatten(marks)) {
		if f.path.String() == key {
			return p.at(f.at), true
		}
	}
	return diag.Place{}, false
}
