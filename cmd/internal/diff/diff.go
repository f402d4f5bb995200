// Package diff compares texts for people, line by line.
package diff

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sergi/go-diff/diffmatchpatch"
)

// around is how many equal lines are shown before and after a change, as diff -u does.
const around = 3

// patience bounds the search for the smallest difference; after it a larger one will do.
const patience = 5 * time.Second

// A line of a difference: what becomes of it (' ', '-' or '+') and its text.
type line struct {
	mark byte
	text string
}

// Unified writes what makes after of before, as diff -u does. paint colours a line by its mark, '@' being that of
// the headings; nil leaves all as it is. It writes nothing if the two are equal.
func Unified(w io.Writer, before, after, beforeName, afterName string, paint func(mark byte, text string) string) error {
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
			out.WriteString(paint(l.mark, string(l.mark)+l.text) + "\n")
		}
	})
	_, err := io.WriteString(w, out.String())
	return err
}

// lines compares in go-diff's line mode: each line becomes a character, so that no line is taken apart.
func lines(before, after string) []line {
	d := diffmatchpatch.New()
	d.DiffTimeout = patience
	a, b, table := d.DiffLinesToRunes(before, after)
	var out []line
	for _, part := range d.DiffCharsToLines(d.DiffMainRunes(a, b, false), table) {
		mark := map[diffmatchpatch.Operation]byte{
			diffmatchpatch.DiffEqual: ' ', diffmatchpatch.DiffDelete: '-', diffmatchpatch.DiffInsert: '+',
		}[part.Type]
		for text := range strings.Lines(part.Text) {
			out = append(out, line{mark, strings.TrimSuffix(text, "\n")})
		}
	}
	return out
}

// A hunk is a change with the lines around it. Its places count lines from 1.
type hunk struct {
	before, after   int // the first line in each text
	removed, stayed int
	added           int
	lines           []line
}

func (h hunk) heading() string {
	return fmt.Sprintf("@@ -%s +%s @@", span(h.before, h.removed+h.stayed), span(h.after, h.added+h.stayed))
}

// span writes a place and a length; of an empty one the place is the line before.
func span(first, n int) string {
	if n == 0 {
		first--
	}
	return fmt.Sprintf("%d,%d", first, n)
}

// hunks cuts the lines into hunks: changes whose surroundings meet share one.
func hunks(all []line, each func(hunk)) {
	before, after := 1, 1
	for i := 0; i < len(all); {
		if all[i].mark == ' ' {
			i, before, after = i+1, before+1, after+1
			continue
		}
		lead := min(around, lengthOfEqualsBefore(all, i))
		end := endOfHunk(all, i)
		h := hunk{before: before - lead, after: after - lead, lines: all[i-lead : end]}
		for _, l := range h.lines {
			switch l.mark {
			case '-':
				h.removed++
			case '+':
				h.added++
			default:
				h.stayed++
			}
		}
		each(h)
		i, before, after = end, h.before+h.removed+h.stayed, h.after+h.added+h.stayed
	}
}

func lengthOfEqualsBefore(all []line, i int) int {
	n := 0
	for n < i && all[i-n-1].mark == ' ' {
		n++
	}
	return n
}

// endOfHunk follows changes until more equal lines follow than two surroundings take.
func endOfHunk(all []line, i int) int {
	last := i // the last change
	for j := i; j < len(all) && j-last <= 2*around; j++ {
		if all[j].mark != ' ' {
			last = j
		}
	}
	return min(last+1+around, len(all))
}
