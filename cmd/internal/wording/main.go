// Command wording holds the project's text to its style, as far as a program can measure it:
//
//   - A comment, a template's comment or a manual names a thing and does not point at it. At most 3 % of the sentences
//     of a package contain a pointing word (see pointing). Sentences of less than four words are not counted.
//   - No line of a Go file is longer than 120 columns. A tab counts four.
//
// It prints a table with a line for each package and each Markdown file, then the sentences and the lines that break a
// rule, and exits with status 1 if there are any. With -report it exits with status 0 in any case.
//
// The program knows only comments. Messages in string literals are not measured.
//
// Files: main.go (flags, table, verdict), measure.go (the measure of one package), sentence.go (sentences and pointing
// words), source.go (walks the tree), golang.go, template.go and markdown.go (the prose of one kind of file).
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

// limits are the bounds for each package.
type limits struct {
	share   float64 // percent of sentences that may contain a pointing word
	few     int     // number of such sentences that a package may have whatever its share
	columns int     // of a line of Go
}

func main() {
	percent := flag.Float64("max", 3, "percent of a package's sentences that may contain a pointing word")
	report := flag.Bool("report", false, "print the table and the findings, and exit with status 0")
	all := flag.Bool("all", false, "print the pointing sentences of all packages")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: wording [-max PERCENT] [-report] [-all] [DIRECTORY ...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	directories := flag.Args()
	if len(directories) == 0 {
		directories = []string{"."}
	}
	bounds := limits{share: *percent, few: 1, columns: 120}
	broken, err := check(os.Stdout, directories, bounds, *all)
	if err != nil {
		fmt.Fprintln(os.Stderr, "wording:", err)
		os.Exit(2)
	}
	if broken && !*report {
		os.Exit(1)
	}
}

// check measures all packages below the directories, prints the table and the findings, and tells if any package is
// beyond the bounds. With all it prints the pointing sentences of packages within the bounds, too.
func check(out io.Writer, directories []string, bounds limits, all bool) (broken bool, err error) {
	packages, err := measure(directories, bounds)
	if err != nil {
		return false, err
	}
	fmt.Fprintf(out, "%9s %8s %6s %5s  %s\n", "sentences", "pointing", "share", "long", "package")
	total := result{name: "all"}
	for _, p := range packages {
		fmt.Fprintln(out, p)
		total.sentences += p.sentences
		total.pointing = append(total.pointing, p.pointing...)
		total.long = append(total.long, p.long...)
	}
	fmt.Fprintln(out, total)
	for _, p := range packages {
		broken = p.findings(out, bounds, all) || broken
	}
	return broken, nil
}
