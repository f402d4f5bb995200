package keepalived

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"farmc/cmd/internal/convert"
)

// The bounds of lines.
const (
	maxIncludeDepth = 16
	maxExpanded     = 64 << 10 // bytes of a line with its parameters replaced
)

// lines gives each line of the files to each, without conditions, and with parameters replaced.
type lines struct {
	*convert.Result
	files convert.Files
	known map[string]string // the values of parameters
	each  func(at convert.Place, text string)
	count int
}

// file reads the lines of a file.
func (l *lines) file(name string, text []byte, depth int) {
	all := convert.Input{Name: name, Text: text}.Lines()
	for i := 0; i < len(all); i++ {
		at, line := all[i], all[i].Text
		for strings.HasSuffix(line, `\`) && i+1 < len(all) && len(line) < maxExpanded {
			i++
			line = strings.TrimSuffix(line, `\`) + "\n" + all[i].Text
		}
		l.line(at, line, depth)
	}
}

var definition = regexp.MustCompile(`(?s)^\s*\$([A-Za-z_0-9]+)\s*=[ \t]*(.*)$`)

// line handles the words that concern lines: definitions, conditions, included files.
func (l *lines) line(at convert.Place, line string, depth int) {
	if l.count++; l.count > convert.MaxLines {
		if l.count == convert.MaxLines+1 {
			l.Lose(at, "the configuration has too many lines", "import a part of it at a time")
		}
		return
	}
	if m := definition.FindStringSubmatch(line); m != nil {
		l.known[m[1]] = l.expanded(at, m[2])
		return
	}
	for text := range strings.SplitSeq(l.expanded(at, line), "\n") {
		switch word, rest := firstWord(text); {
		case strings.HasPrefix(word, "@"):
			l.Lose(at, "the condition "+strconv.Quote(word)+" depends on the config-id, so the line is left out",
				"write a configuration without conditions, with the lines of this machine")
		case strings.HasPrefix(word, "~"):
			l.Lose(at, "a sequence that generates lines is left out", "write the lines that it generates")
		case isInclude[word]:
			l.include(at, rest, depth+1)
		default:
			l.each(at, text)
		}
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

var parameter = regexp.MustCompile(`\$\{?[A-Za-z_][A-Za-z_0-9]*\}?`)

// expanded replaces the parameters of a line.
func (l *lines) expanded(at convert.Place, line string) string {
	size := len(line)
	return parameter.ReplaceAllStringFunc(line, func(use string) string {
		value, known := l.known[strings.Trim(use, "${}")]
		size += len(value)
		switch {
		case size > maxExpanded:
			l.Lose(at, "the line is too long with its parameters", "write it without parameters")
			return ""
		case !known:
			l.Lose(at, "parameter "+use+" is not defined", "define it above, or write its value")
			return use
		}
		return value
	})
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
