package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// A result is the measure of one package, of the templates, or of one Markdown file.
type result struct {
	name      string // directory of the package, or path of the Markdown file
	sentences int    // of four words or more
	pointing  []finding
	long      []finding
}

// A finding is a sentence or a line that breaks a rule.
type finding struct {
	path string
	line int // from 1
	text string
}

func (f finding) String() string { return fmt.Sprintf("%s:%d: %s", f.path, f.line, f.text) }

// measure gives the results of all packages and manuals below the directories, ordered by name.
func measure(directories []string, bounds limits) ([]result, error) {
	sources, err := find(directories)
	if err != nil {
		return nil, err
	}
	results := map[string]result{}
	for _, s := range sources {
		content, err := os.ReadFile(s.path)
		if err != nil {
			return nil, err
		}
		prose, err := s.prose(s.path, string(content))
		if err != nil {
			return nil, err
		}
		r := results[s.group]
		r.name = s.group
		r.add(s.path, prose)
		if strings.HasSuffix(s.path, ".go") {
			r.addLines(s.path, string(content), bounds.columns)
		}
		results[s.group] = r
	}
	return slices.SortedFunc(maps.Values(results), func(a, b result) int { return cmp.Compare(a.name, b.name) }), nil
}

func (r *result) add(path string, prose []paragraph) {
	for _, p := range prose {
		for _, s := range p.sentences() {
			r.sentences++
			if word := pointing.FindString(s.text); word != "" {
				r.pointing = append(r.pointing, finding{path, s.line, fmt.Sprintf("%q in: %s", word, s.text)})
			}
		}
	}
}

// addLines notes the lines of a Go file that are longer than columns.
func (r *result) addLines(path, content string, columns int) {
	for i, line := range strings.Split(content, "\n") {
		if width := width(line); width > columns {
			r.long = append(r.long, finding{path, i + 1, fmt.Sprintf("%d columns, at most %d", width, columns)})
		}
	}
}

// width is the number of columns of a line, where a tab counts four.
func width(line string) int {
	return len([]rune(line)) + 3*strings.Count(line, "\t")
}

// share is the percentage of sentences with a pointing word.
func (r result) share() float64 {
	return 100 * float64(len(r.pointing)) / float64(max(r.sentences, 1))
}

func (r result) String() string {
	return fmt.Sprintf("%9d %8d %4.1f %% %5d  %s", r.sentences, len(r.pointing), r.share(), len(r.long), r.name)
}

// findings prints the findings, and tells if the package is beyond the bounds. Pointing sentences within the bounds are
// printed with all only.
func (r result) findings(out io.Writer, bounds limits, all bool) (broken bool) {
	tooMany := len(r.pointing) > bounds.few && r.share() > bounds.share
	if tooMany || all {
		for _, f := range r.pointing {
			fmt.Fprintln(out, f)
		}
	}
	for _, f := range r.long {
		fmt.Fprintln(out, f)
	}
	if tooMany {
		fmt.Fprintf(
			out,
			"%s: %.1f %% of the sentences point, at most %g %%: name the thing\n",
			r.name,
			r.share(),
			bounds.share,
		)
	}
	return tooMany || len(r.long) > 0
}
