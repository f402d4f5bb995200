package keepalived

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"farmc/cmd/internal/convert"
)

// The bounds of replacing parameters.
const (
	maxExpanded  = 64 << 10 // bytes of a line with its parameters replaced
	maxNested    = 16       // how deep values name other parameters
	maxAllocated = 64 << 20 // bytes of all lines together
)

var definition = regexp.MustCompile(`(?s)^\s*\$([A-Za-z_0-9]+)=[ \t]*(.*)$`)

// definitionBegins matches the first line of a definition, with its conditions.
var definitionBegins = regexp.MustCompile(`^\s*(@\S*\s+)*\$[A-Za-z_0-9]+=`)

// define keeps the value of a parameter, and reports whether the line is a definition. Parameters in the value are
// replaced where it is used.
func (l *lines) define(line string) bool {
	m := definition.FindStringSubmatch(line)
	if m != nil {
		l.known[m[1]] = m[2]
	}
	return m != nil
}

// A parameter without braces has a blank after it. keepalived leaves others as they are.
var parameter = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z_0-9]*)\}|\$([A-Za-z_][A-Za-z_0-9]*)(\s|$)`)

const tooDeep = "the values of parameters name one another too deeply"

// expanded replaces the parameters of a line, also within values, up to the first value of several lines.
func (l *lines) expanded(at convert.Place, line string) string {
	for range maxNested {
		if strings.Contains(line, "\n") {
			return line
		}
		next := l.replaced(at, line)
		if next == line {
			return line
		}
		if l.allocated += len(next); len(next) > maxExpanded || l.allocated > maxAllocated {
			l.Lose(at, "the line is too long with its parameters", "write it without parameters")
			return ""
		}
		line = next
	}
	l.Lose(at, tooDeep, "write the line without parameters")
	return ""
}

// replaced replaces the parameters of a line once. Parameters after a value of several lines stay, as its lines come
// first and can define them.
func (l *lines) replaced(at convert.Place, line string) string {
	var out strings.Builder
	for out.Len() <= maxExpanded {
		m := parameter.FindStringSubmatchIndex(line)
		if m == nil {
			break
		}
		value, end := l.value(at, line, m)
		out.WriteString(line[:m[0]] + value)
		if line = line[end:]; strings.Contains(value, "\n") {
			break
		}
	}
	return out.String() + line
}

// value gives the value of a use of a parameter, which is the use itself if it is not defined, and the end of the use.
func (l *lines) value(at convert.Place, line string, m []int) (value string, end int) {
	name, end := "", m[1]
	if m[2] >= 0 {
		name = line[m[2]:m[3]]
	} else {
		name, end = line[m[4]:m[5]], m[5]
	}
	if name == "_PWD" {
		return filepath.Dir(at.File), end
	}
	value, known := l.known[name]
	if !known {
		value = line[m[0]:end]
	}
	return value, end
}

// sequence matches ~SEQ(var, start, step, end) and ~SEQx(...), which has hexadecimal numbers.
var sequence = regexp.MustCompile(`(?s)^\s*~SEQ(x?)\(\s*([A-Za-z_0-9]+)\s*,([^)]*)\)[ \t]*(.*)$`)

// repeat handles the rest of a line once for each number of a sequence.
func (l *lines) repeat(at convert.Place, line string, depth int) {
	m := sequence.FindStringSubmatch(line)
	if m == nil {
		l.Lose(at, "a list that generates lines is left out", "write the lines that it generates")
		return
	}
	first, step, last, valid := bounds(m[3])
	if !valid {
		l.Lose(at, "the numbers of a sequence do not lead from the first to the last one",
			"write ~SEQ(NAME, FIRST, STEP, LAST)")
		return
	}
	base := 10
	if m[1] == "x" {
		base = 16
	}
	for n := first; (n-last)*sign(step) <= 0 && l.count <= convert.MaxLines; n += step {
		l.known[m[2]] = strconv.FormatInt(n, base)
		l.line(at, m[4], depth)
	}
}

// bounds reads END, START, END or START, STEP, END.
func bounds(text string) (first, step, last int64, valid bool) {
	var all []int64
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(word), 0, 32)
		if err != nil {
			return 0, 0, 0, false
		}
		all = append(all, n)
	}
	last = all[len(all)-1]
	first, step = sign(last), sign(last)
	if len(all) > 1 {
		first, step = all[0], sign(last-all[0])
	}
	if len(all) == 3 {
		step = all[1]
	}
	return first, step, last, len(all) <= 3 && step != 0 && (last-first)*step >= 0
}

// sign gives 1 for zero, too.
func sign(n int64) int64 {
	if n < 0 {
		return -1
	}
	return 1
}
