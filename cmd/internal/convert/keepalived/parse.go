package keepalived

import (
	"regexp"
	"strings"

	"farmc/cmd/internal/convert"
)

// A statement is a line of the configuration, with the block that it opens.
type statement struct {
	at     convert.Place
	words  []string // at least one
	block  bool
	within []*statement
}

// name is the first word.
func (s *statement) name() string { return s.words[0] }

// word gives the nth word; "" if there are fewer.
func (s *statement) word(n int) string {
	if n < len(s.words) {
		return s.words[n]
	}
	return ""
}

// rest gives the words after the first.
func (s *statement) rest() string { return strings.Join(s.words[1:], " ") }

// maxDepth is how deep blocks nest at most. keepalived nests five levels.
const maxDepth = 32

// A tree is built from lines. The open blocks are a stack, with the root at the bottom.
type tree struct {
	*convert.Result
	open []*statement
}

// parse reads the whole configuration.
func parse(r *convert.Result, in convert.Input) []*statement {
	t := &tree{Result: r, open: []*statement{{words: []string{""}}}}
	l := &lines{Result: r, files: in.Files, id: in.ConfigID, each: t.line,
		known: map[string]string{"_INSTANCE": in.ConfigID, "_HASH": "#", "_BANG": "!"}}
	l.file(in.Name, in.Text, 0)
	if last := t.open[len(t.open)-1]; len(t.open) > 1 {
		t.Lose(last.at, "the block has no end", "add a closing brace")
	}
	return t.open[0].within
}

// line adds the statements of a line.
func (t *tree) line(at convert.Place, text string) {
	var words []string
	all, closed := tokens(text)
	if !closed {
		t.Lose(at, "a quote has no end", "add it")
	}
	for _, token := range all {
		switch token {
		case "{":
			t.begin(at, words)
			words = nil
		case "}":
			t.add(at, words)
			words = nil
			t.end(at)
		default:
			words = append(words, strings.TrimPrefix(token, quoted))
		}
	}
	t.add(at, words)
}

// add adds a statement to the innermost block.
func (t *tree) add(at convert.Place, words []string) *statement {
	if len(words) == 0 {
		return nil
	}
	t.unknown(at, words)
	s := &statement{at: at, words: words}
	in := t.open[len(t.open)-1]
	in.within = append(in.within, s)
	return s
}

// unknown loses the parameters that are not replaced. keepalived leaves them as they are, which suits the shell.
func (t *tree) unknown(at convert.Place, words []string) {
	name := words[0]
	if strings.HasPrefix(name, "notify") || ofShell[name] {
		return
	}
	for _, word := range words {
		if use := random.FindString(word); use != "" {
			t.Lose(at, use+" is another number at each start of keepalived", "write a number")
		} else if use := leftover.FindString(word); use != "" {
			t.Lose(at, "parameter "+use+" is not defined, or has no blank after it",
				"define it above, and write it as ${NAME}; or write its value")
		}
	}
}

var (
	ofShell  = convert.Words("quorum_up quorum_down misc_path script")
	random   = regexp.MustCompile(`\$\{_RANDOM\b[^}]*\}`)
	leftover = regexp.MustCompile(`\$\{?[A-Za-z_][A-Za-z_0-9]*\}?`)
)

// begin opens the block of a statement, or of the last one if the brace stands on a line of its own.
func (t *tree) begin(at convert.Place, words []string) {
	s := t.add(at, words)
	in := t.open[len(t.open)-1]
	switch {
	case s != nil:
	case len(in.within) > 0 && !in.within[len(in.within)-1].block:
		s = in.within[len(in.within)-1]
	default:
		t.Lose(at, "a block without a name", "remove the braces")
		s = &statement{at: at, words: []string{""}}
	}
	if s.block = true; len(t.open) == maxDepth {
		t.Lose(at, "blocks nest too deeply", "remove braces")
		return
	}
	t.open = append(t.open, s)
}

func (t *tree) end(at convert.Place) {
	if len(t.open) == 1 {
		t.Lose(at, "a closing brace without its block", "remove it")
		return
	}
	t.open = t.open[:len(t.open)-1]
}

// quoted begins a token that stood in quotes, which is no brace then.
const quoted = "\x00"

// tokens divides a line into words, texts in quotes and braces, and reports whether each quote has its end. A comment
// begins with # or !, anywhere.
func tokens(line string) (out []string, closed bool) {
	begin := 0 // of the statement
	closed = true
	for line = strings.TrimLeft(line, " \t\r\v\f"); line != ""; line = strings.TrimLeft(line, " \t\r\v\f") {
		switch c := line[0]; {
		case c == '#' || c == '!':
			return out, closed
		case c == '{' || c == '}':
			out, line = append(out, line[:1]), line[1:]
			begin = len(out)
		case begin < len(out) && ofEscapes(out[begin]):
			text, rest, whole := escaped(line)
			out, line, closed = append(out, quoted+text), rest, closed && whole
		case c == '"':
			text, rest, whole := strings.Cut(line[1:], `"`)
			out, line, closed = append(out, quoted+text), rest, closed && whole
		default:
			end := wordEnd(line)
			out, line = append(out, line[:end]), line[end:]
		}
	}
	return out, closed
}

// maxParameter is the longest ${NAME} that is looked for.
const maxParameter = 256

// wordEnd gives the length of the word that a line begins with. The braces of ${NAME} are a part of it.
func wordEnd(line string) int {
	for i := 0; i < len(line); i++ {
		if end := useEnd(line[i:]); end > 0 {
			i += end
			continue
		}
		if strings.IndexByte(" \t\r\v\f{}#!\"", line[i]) >= 0 {
			return i
		}
	}
	return len(line)
}

// useEnd gives the place of the brace that ends the ${NAME} which a text begins with; 0 if it begins with none.
func useEnd(text string) int {
	if !strings.HasPrefix(text, "${") {
		return 0
	}
	return max(0, strings.IndexByte(text[:min(maxParameter, len(text))], '}'))
}
