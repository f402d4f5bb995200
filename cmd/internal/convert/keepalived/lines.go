package keepalived

import (
	"path/filepath"
	"strconv"
	"strings"

	"farmc/cmd/internal/convert"
)

// maxIncludeDepth is how deep files include one another.
const maxIncludeDepth = 16

// lines gives each line of the files to each, without conditions, and with parameters replaced.
type lines struct {
	*convert.Result
	files     convert.Files
	id        string            // the config-id, which conditions compare
	known     map[string]string // the values of parameters
	each      func(at convert.Place, text string)
	count     int
	nested    int  // how deep lines of definitions use other ones
	allocated int  // bytes of lines with their parameters replaced
	asked     bool // a line has a condition
}

// file reads the lines of a file.
func (l *lines) file(name string, text []byte, depth int) {
	all := convert.Input{Name: name, Text: text}.Lines()
	for i := 0; i < len(all); i++ {
		at := all[i]
		line, goesOn := bare(at.Text)
		goesOn = goesOn && definitionBegins.MatchString(line)
		for goesOn && i+1 < len(all) && len(line) < maxExpanded {
			i++
			var next string
			next, goesOn = bare(all[i].Text)
			line += "\n" + next
		}
		l.line(at, line, depth)
	}
}

// bare takes the comment and the backslash off the end of a line, and reports whether there was a backslash.
func bare(line string) (text string, goesOn bool) {
	line, goesOn = strings.CutSuffix(strings.TrimRight(line, blanks), `\`)
	quoted := false
	for i := range len(line) {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '#' || c == '!'):
			return strings.TrimRight(line[:i], blanks), goesOn
		}
	}
	return strings.TrimRight(line, blanks), goesOn
}

const blanks = " \t\r\v\f"

// line handles the words that concern lines: conditions, definitions, sequences, included files. The lines of a
// definition are lines of their own where it is used, and can define parameters for later lines.
func (l *lines) line(at convert.Place, line string, depth int) {
	if l.count++; l.count > convert.MaxLines {
		if l.count == convert.MaxLines+1 {
			l.Lose(at, "the configuration has too many lines", "import a part of it at a time")
		}
		return
	}
	line, holds := l.condition(at, line)
	switch {
	case !holds || l.define(line):
		return
	case strings.HasPrefix(strings.TrimSpace(line), "~"):
		l.repeat(at, line, depth)
		return
	}
	text := l.expanded(at, line)
	if strings.Contains(text, "\n") {
		l.parts(at, text, depth)
		return
	}
	if text, holds = l.condition(at, text); !holds {
		return
	}
	if word, rest := firstWord(text); isInclude[word] {
		l.include(at, rest, depth+1)
	} else {
		l.each(at, text)
	}
}

// parts handles the lines of a text.
func (l *lines) parts(at convert.Place, text string, depth int) {
	if l.nested == maxNested {
		l.Lose(at, tooDeep, "write the line without parameters")
		return
	}
	l.nested++
	defer func() { l.nested-- }()
	for part := range strings.SplitSeq(text, "\n") {
		l.line(at, part, depth)
	}
}

// condition takes the conditions off a line, such as @main or @^main, and reports whether the line counts.
func (l *lines) condition(at convert.Place, line string) (rest string, holds bool) {
	for {
		word, after := firstWord(line)
		id, conditional := strings.CutPrefix(word, "@")
		if !conditional {
			return line, true
		}
		if !l.asked {
			l.asked = true
			l.Note(at, "conditions hold for the config-id "+strconv.Quote(l.id),
				"import with --config-id for another one")
		}
		id, not := strings.CutPrefix(id, "^")
		if (id == l.id) == not {
			return "", false
		}
		line = after
	}
}

// firstWord divides a line after its first word.
func firstWord(line string) (word, rest string) {
	line = strings.TrimSpace(line)
	end := strings.IndexAny(line, " \t")
	if end < 0 {
		return line, ""
	}
	return line[:end], strings.TrimSpace(line[end:])
}

// The words that include files. They differ in faults that keepalived tolerates.
var isInclude = map[string]bool{"include": true, "includer": true, "includem": true, "includew": true,
	"includeb": true, "includea": true}

// include reads the files that match a pattern. A path is relative to the directory of the file that includes it.
func (l *lines) include(at convert.Place, pattern string, depth int) {
	pattern = strings.Trim(pattern, `"`)
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(at.File), pattern)
	}
	if depth > maxIncludeDepth || l.files == nil {
		l.Lose(at, "files include one another too deeply", "check that no file includes itself")
		return
	}
	paths, err := l.files.Glob(pattern)
	if err != nil || len(paths) == 0 {
		l.Lose(at, "no file matches the pattern of include", "run the import where the files are, or remove the line")
	}
	for _, path := range paths {
		text, err := l.files.Read(path)
		if err != nil {
			l.Lose(at, "an included file cannot be read: "+err.Error(), "mend it, or remove the line")
			continue
		}
		l.file(path, text, depth)
	}
}
