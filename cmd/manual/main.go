// Manual renders the manual pages, and writes the example farms of farmc-examples(7) to files:
//
//	manual DIRECTORY
//
// A page is the Markdown file of the same name in this directory, farmc.1.md for farmc(1). People read and edit the
// Markdown; go-md2man makes roff of it. Two things are added on the way:
//
//   - the title line of roff, from the heading "# farmc(1)",
//   - the keys of farms.d(5), from farms.d/reference.toml (package reference reads it, keys.go writes it as Markdown).
//
// Of farmc's other packages it knows the reference alone. Its tests hold the pages to the program: every command and
// option, every key, every farm that a page shows.
//
// Definition lists ("term", and below it ": text") become .TP. Tables become tbl's, which does not fold cells that
// begin with code or bold text (go-md2man 2.0.7), so long texts stand in definition lists.
package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"farmc/cmd/internal/reference"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: manual DIRECTORY")
		os.Exit(2)
	}
	if err := manual(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		os.Exit(1)
	}
}

//go:embed *.md
var pages embed.FS

// manual writes DIRECTORY/farmc.1 and the other pages, and DIRECTORY/examples with the example farms.
func manual(dir string) error {
	keys := keysInMarkdown(reference.Tables())
	names, err := fs.Glob(pages, "*.md")
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		page, err := pages.ReadFile(name)
		if err == nil {
			err = write(filepath.Join(dir, strings.TrimSuffix(name, ".md")), render(string(page), keys))
		}
		errs = append(errs, err)
	}
	for _, e := range examples() {
		errs = append(errs, write(filepath.Join(dir, "examples", e.Name), e.Text))
	}
	return errors.Join(errs...)
}

func write(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(text), 0o644)
}
