package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"farmc/cmd/internal/live"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

var statusVerb = verb{
	name:    "status",
	args:    "[FARM]",
	summary: "show farms, backends, held back packets and banned clients",
	about: `Shows the farms that were loaded last. For each backend: its state; its share of new
connections; the open connections; and the connections given to it since its rules were loaded
(in modes dsr and stateless: packets; with persistence: only the first packet of a client). For
each farm: the source address that backends see (mode snat); packets that were denied or over a
limit, by reason; and banned clients with the time left. Also shows changes in the files that are
not applied, and whether the files are on hold or a load waits to be confirmed. At the end: what
keeps the farms from working on this machine now. Exit status: 0 the kernel has the rules loaded
last, 1 it has not, or cannot be read, or the machine stops packets of a farm.`,
	flags: func(c *call) { c.set.BoolVar(&c.json, "json", false, "write JSON, for programs") },
	run: func(ctx context.Context, c *call) int {
		if len(c.args) > 1 {
			return c.usageError("status takes at most one farm")
		}
		s, err := c.engine().Status(ctx, strings.Join(c.args, ""))
		if err != nil && len(s.Farms) == 0 && !(c.json && errors.Is(err, live.ErrNothingLoaded)) {
			c.printError(err)
			return exitFailure
		}
		if c.json {
			err = errors.Join(err, json.NewEncoder(c.stdout).Encode(s))
		} else {
			c.showStatus(s)
		}
		if err != nil {
			c.printError(err)
			return exitFailure
		}
		if s.Rules == live.RulesNone || s.Rules == live.RulesOther || s.Findings.Stop() {
			return exitFailure
		}
		return exitOK
	},
}

// rulesWarnings are the warnings about rules in the kernel that are not the ones loaded last.
var rulesWarnings = map[live.Rules]string{
	live.RulesNone:   "the kernel holds no farms; shown are the last ones loaded; run farmc apply",
	live.RulesOther:  "the kernel has a different ruleset; shown is the last one loaded; run farmc apply",
	live.RulesBooted: "the kernel has the rules of the boot, without interfaces and source addresses; run farmc apply",
}

func (c *call) showStatus(s live.Status) {
	paint := c.palette(c.stdout)
	if words := rulesWarnings[s.Rules]; words != "" {
		fmt.Fprintf(c.stdout, "%s%s%s\n", paint.Fault, words, paint.Reset)
	}
	for i, f := range s.Farms {
		if i > 0 {
			fmt.Fprintln(c.stdout)
		}
		showFarm(c.stdout, f, paint)
	}
	if len(s.Farms) == 0 {
		fmt.Fprintln(c.stdout, "no farms")
	}
	switch {
	case s.Faulty:
		fmt.Fprintf(c.stdout, "\n%sthe files have faults: run farmc check%s\n", paint.Warning, paint.Reset)
	case len(s.Pending) > 0:
		fmt.Fprintf(c.stdout, "\n%sthe files have changes that are not applied:%s\n", paint.Warning, paint.Reset)
		for _, change := range s.Pending[:min(len(s.Pending), maxListed)] {
			fmt.Fprintln(c.stdout, "  "+change)
		}
		if more := len(s.Pending) - maxListed; more > 0 {
			fmt.Fprintf(c.stdout, "  and %d more changes\n", more)
		}
	}
	if s.Blocked != "" {
		fmt.Fprintf(c.stdout, "\n%s%s%s\n", paint.Warning, s.Blocked, paint.Reset)
	}
	if len(s.Findings) > 0 {
		fmt.Fprintln(c.stdout)
		s.Findings.Diagnostics().Print(c.stdout, paint)
	}
}

func showFarm(w io.Writer, f live.FarmStatus, paint diag.Palette) {
	state := ""
	if f.State != "up" {
		state = " " + paint.Fault + f.State + paint.Reset
	}
	fmt.Fprintf(w, "%s%s%s  %s%s  %s\n", paint.Bold, f.Name, paint.Reset, f.Mode, state, f.File)
	for _, line := range wrap(f.Listen, screenWidth-2) {
		fmt.Fprintln(w, "  "+line)
	}
	showList(w, "source: ", sources(f.Backends))
	showBackends(w, f.Backends, paint)
	var held []string
	for _, reason := range append([]string{"denied"}, reasonWords()...) {
		if n := f.HeldBack[reason]; n > 0 {
			held = append(held, fmt.Sprintf("%s %d", reason, n))
		}
	}
	showList(w, "held back: ", held)
	var banned []string
	for _, b := range f.Banned {
		words := b.Client
		if b.Left > 0 {
			words += " for " + timeLeft(time.Duration(b.Left*float64(time.Second)))
		}
		banned = append(banned, words)
	}
	if more := len(banned) - maxListed; more > 0 {
		banned = append(banned[:maxListed:maxListed], fmt.Sprintf("and %d more", more))
	}
	showList(w, "banned: ", banned)
}

// sources lists the source addresses that backends see: one for each family, or one for each backend if they differ.
func sources(all []live.BackendStatus) []string {
	var common, each []string
	seen := map[bool]string{} // by the family of the backend's address
	for _, b := range all {
		for i, source := range b.Source {
			is6 := strings.Contains(b.Address[i], ":")
			if seen[is6] != source {
				common = append(common, source)
			}
			seen[is6] = cmp.Or(seen[is6], source)
		}
		if words := slices.Compact(slices.Clone(b.Source)); len(words) > 0 {
			each = append(each, b.Name+" "+strings.Join(words, " and "))
		}
	}
	if len(common) > len(seen) {
		return each
	}
	return slices.Compact(common)
}

func reasonWords() []string {
	var out []string
	for _, r := range farm.Reasons {
		out = append(out, string(r))
	}
	return out
}

// screenWidth is the least width of a terminal, in columns.
const screenWidth = 80

// showList prints items with commas between them, on as many lines as they need.
func showList(w io.Writer, title string, items []string) {
	for i := range items[:max(len(items)-1, 0)] {
		items[i] += ","
	}
	for i, line := range wrap(items, screenWidth-2-len(title)) {
		if i > 0 {
			title = strings.Repeat(" ", len(title))
		}
		fmt.Fprintln(w, "  "+title+line)
	}
}

// wrap joins words into lines of at most width columns; a longer word has its own line.
func wrap(words []string, width int) []string {
	var lines []string
	for _, word := range words {
		if n := len(lines); n > 0 && len(lines[n-1])+1+len(word) <= width {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// showBackends prints a table with a line for each backend, and one more for a second address. If the table is wider
// than the screen, addresses have lines of their own.
func showBackends(w io.Writer, all []live.BackendStatus, paint diag.Palette) {
	if len(all) == 0 {
		return
	}
	unit := map[bool]string{true: "GIVEN", false: "PACKETS"}[all[0].Unit == "connections"]
	rows := [][]string{{"BACKEND", "ADDRESS", "STATE", "SHARE", "OPEN", unit}}
	for _, b := range all {
		for i, address := range b.Address {
			if b.Port != 0 && strings.Contains(address, ":") {
				address = "[" + address + "]"
			}
			if b.Port != 0 {
				address += fmt.Sprintf(":%d", b.Port)
			}
			if i > 0 {
				rows = append(rows, []string{"", address, "", "", "", ""})
				continue
			}
			rows = append(rows, []string{b.Name, address, b.State, share(b.Share), number(b.Open), number(b.Served)})
		}
	}
	widths := make([]int, len(rows[0]))
	total := 2 * len(widths)
	for column := range widths {
		for _, row := range rows {
			widths[column] = max(widths[column], utf8.RuneCountInString(row[column]))
		}
		total += widths[column]
	}
	below := total > screenWidth
	for i, row := range rows {
		switch {
		case below && row[0] == "":
		case below:
			cells, cellWidths := slices.Delete(slices.Clone(row), 1, 2), slices.Delete(slices.Clone(widths), 1, 2)
			fmt.Fprintln(w, strings.TrimRight(tableRow(cells, cellWidths, 1, paint), " "))
		default:
			fmt.Fprintln(w, strings.TrimRight(tableRow(row, widths, 2, paint), " "))
		}
		if below && i > 0 {
			fmt.Fprintln(w, "    "+row[1])
		}
	}
}

// tableRow joins cells. The cell at index state is coloured, and the cells after it are numbers, aligned to the right.
func tableRow(cells []string, widths []int, state int, paint diag.Palette) string {
	var out strings.Builder
	for i, cell := range cells {
		gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		out.WriteString("  ")
		switch colour := stateColour(cell, paint); {
		case i == state && colour != "":
			out.WriteString(colour + cell + paint.Reset + gap)
		case i > state:
			out.WriteString(gap + cell)
		default:
			out.WriteString(cell + gap)
		}
	}
	return out.String()
}

func stateColour(state string, paint diag.Palette) string {
	return map[string]string{
		"up": paint.Added, "drain": paint.Warning, "standby": paint.Hint, "down": paint.Fault,
	}[state]
}

func share(of float64) string {
	if of == 0 {
		return "-"
	}
	return strconv.FormatFloat(100*of, 'f', 1, 64) + " %"
}

// number formats a number, or "-" for nil.
func number[N int | uint64](n *N) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}
