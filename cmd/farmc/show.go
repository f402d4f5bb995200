package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/live"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/toml"
)

var showVerb = verb{
	name:    "show",
	args:    "FARM",
	summary: "print a farm as its files make it",
	about: `Prints the farm in the files as one TOML text: its file, with the drop-ins laid over it, over the
keys that it inherits from _defaults.toml. Keys of _defaults.toml that have no effect in the farm
follow as comments. Nothing is loaded, and the kernel is not asked.

With --origin, a comment behind each value has the file and the line that it comes from. Values
that no file sets are shown, too, except those of backends: they are built in.

Exit status: 0, or 1 if the farm has faults.`,
	flags: func(c *call) {
		c.set.BoolVar(&c.origin, "origin", false, "print the file and the line of each value")
	},
	run: func(_ context.Context, c *call) int {
		if len(c.args) != 1 {
			return c.usageError("show needs a farm, such as farmc show web")
		}
		e := c.engine()
		r, diagnostics := e.ReadingOf(c.args[0])
		if r == nil {
			c.printError(live.UnknownFarm(c.args[0], e.FarmNames()))
			return exitFailure
		}
		c.showReading(r)
		var err error
		if diagnostics.Faulty() {
			err = live.ErrFaulty
		}
		if !c.report(nil, diagnostics, err) {
			return exitFailure
		}
		return exitOK
	},
}

// showReading prints a farm; nothing if its file is not TOML.
func (c *call) showReading(r *farm.Reading) {
	if r.Document() == nil {
		return
	}
	document, faults := edit.Decode(bytes.NewReader(r.Document()))
	if c.origin && len(faults) == 0 {
		addBuiltIn(document, r.BuiltIn())
	}
	text, more := edit.Write(document)
	for _, f := range append(faults, more...) {
		c.log("%s", f)
	}
	if text == nil {
		return
	}
	text = bytes.TrimPrefix(text, []byte(edit.WrittenBy+"\n"))
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if c.origin {
		lines = withOrigins(lines, originsOf(r))
	}
	for _, line := range append(lines, refusedLines(r)...) {
		fmt.Fprintln(c.stdout, diag.Printable(line))
	}
}

// addBuiltIn adds built-in values to the tables of a document.
func addBuiltIn(document edit.Document, values map[string]map[string]any) {
	for table, keys := range values {
		into, isTable := map[string]any(document), true
		if table != "" {
			into, isTable = document[table].(map[string]any)
		}
		for key, value := range keys {
			if isTable {
				into[key] = value
			}
		}
	}
}

// originsOf returns the place of each value, by its dotted path.
func originsOf(r *farm.Reading) map[string]string {
	out := map[string]string{}
	for _, leaf := range r.Origins() {
		out[strings.Join(leaf.Path, ".")] = fmt.Sprintf("%s:%d", leaf.Place.File, leaf.Place.Line)
	}
	return out
}

// originColumn is where comments begin, if the line is not longer.
const originColumn = 40

// withOrigins returns the lines of a TOML text with a comment behind each value: the place that it comes from. An
// inline table can have several.
func withOrigins(lines []string, origins map[string]string) []string {
	comments := make([][]string, len(lines))
	table := toml.Parse("", []byte(strings.Join(lines, "\n")), &diag.Diagnostics{})
	for _, leaf := range table.Leaves() {
		origin, known := origins[strings.Join(leaf.Path, ".")]
		if !known {
			origin = "built-in"
		}
		if of := &comments[leaf.Place.Line-1]; !slices.Contains(*of, origin) {
			*of = append(*of, origin)
		}
	}
	out := slices.Clone(lines)
	for i, origin := range comments {
		if len(origin) > 0 {
			out[i] = fmt.Sprintf("%-*s  # %s", originColumn-2, lines[i], strings.Join(origin, ", "))
		}
	}
	return out
}

// refusedLines returns comments about the defaults without effect in the farm.
func refusedLines(r *farm.Reading) (lines []string) {
	if r.DefaultsFaults().Faulty() || len(r.Refused()) == 0 {
		return nil
	}
	lines = []string{"", "# not inherited from " + r.Defaults() + ":"}
	for _, d := range r.Refused() {
		lines = append(lines, fmt.Sprintf("# line %d: %s", d.Place.Line, d.Message))
	}
	return lines
}
