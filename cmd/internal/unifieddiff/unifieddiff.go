// Package unifieddiff writes the differences of two texts in the unified format of diff -u.
//
// It knows lines and nothing of their content. The search for differences is that of go-diff.
package unifieddiff

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sergi/go-diff/diffmatchpatch"
)

// context is the number of equal lines before and after a change, as in diff -u.
const context = 3

// searchTime bounds the search for the smallest difference. A longer search would give the difference found so far.
const searchTime = 5 * time.Second

// A line is a line of a difference.
type line struct {
	operation byte // ' ' for an equal line, '-' for a removed one, '+' for an added one
	text      string
}

// Write writes the differences of two texts in the format of diff -u. It writes nothing if they are equal. paint
// colours a line by its operation: ' ', '-', '+', or '@' for headings; it may be nil. Errors come from w.
func Write(w io.Writer, before, after, beforeName, afterName string,
	paint func(operation byte, text string) string) error {
	if before == after {
		return nil
	}
	if paint == nil {
		paint = func(_ byte, text string) string { return text }
	}
	var out strings.Builder
	out.WriteString(paint('@', "--- "+beforeName) + "\n" + paint('@', "+++ "+afterName) + "\n")
	hunks(lines(before, after), func(h hunk) {
		out.WriteString(paint('@', h.heading()) + "\n")
		for _, l := range h.lines {
			out.WriteString(paint(l.operation, string(l.operation)+l.text) + "\n")
		}
	})
	_, err := io.WriteString(w, out.String())
	return err
}

// lines compares two texts in go-diff's line mode: each line becomes a character, so that lines are compared as a
// whole.
func lines(before, after string) []line {
	d := diffmatchpatch.New()
	d.DiffTimeout = searchTime
	a, b, table := d.DiffLinesToRunes(before, after)
	var out []line
	for _, part := range d.DiffCharsToLines(d.DiffMainRunes(a, b, false), table) {
		operation := map[diffmatchpatch.Operation]byte{
			diffmatchpatch.DiffEqual: ' ', diffmatchpatch.DiffDelete: '-', diffmatchpatch.DiffInsert: '+',
		}[part.Type]
		for text := range strings.Lines(part.Text) {
			out = append(out, line{operation, strings.TrimSuffix(text, "\n")})
		}
	}
	return out
}

// A hunk is a change with its context.
type hunk struct {
	before, after         int // number of its first line in each text, from 1
	removed, added, equal int // numbers of lines
	lines                 []line
}

func (h hunk) heading() string {
	return fmt.Sprintf("@@ -%s +%s @@", span(h.before, h.removed+h.equal), span(h.after, h.added+h.equal))
}

// span writes the first line and the number of lines. Without lines diff -u writes the line before the change.
func span(first, n int) string {
	if n == 0 {
		first--
	}
	return fmt.Sprintf("%d,%d", first, n)
}

// hunks splits the lines into hunks. Changes with overlapping context are in one hunk.
func hunks(all []line, each func(hunk)) {
	before, after := 1, 1
	for i := 0; i < len(all); {
		if all[i].operation == ' ' {
			i, before, after = i+1, before+1, after+1
			continue
		}
		lead := min(context, equalLinesBefore(all, i))
		end := endOfHunk(all, i)
		h := hunk{before: before - lead, after: after - lead, lines: all[i-lead : end]}
		for _, l := range h.lines {
			switch l.operation {
			case '-':
				h.removed++
			case '+':
				h.added++
			default:
				h.equal++
			}
		}
		each(h)
		i, before, after = end, h.before+h.removed+h.equal, h.after+h.added+h.equal
	}
}

func equalLinesBefore(all []line, i int) int {
	n := 0
	for n < i && all[i-n-1].operation == ' ' {
		n++
	}
	return n
}

// endOfHunk gives the end of the hunk that begins with the change at i. It ends before more equal lines than the
// context of two changes.
func endOfHunk(all []line, i int) int {
	last := i // the last change
	for j := i; j < len(all) && j-last <= 2*context; j++ {
		if all[j].operation != ' ' {
			last = j
		}
	}
	return min(last+1+context, len(all))
}
