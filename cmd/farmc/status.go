package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"farmc/cmd/internal/live"
	"farmc/compiler/diag"
)

var statusVerb = verb{
	name:    "status",
	args:    "[FARM]",
	summary: "show farms, problems first, or one farm in full",
	about: `Shows the farms that were loaded last, a line each, problems first: its state; how many of its
backends are up; new connections per second; open connections; and packets that were denied or
over a limit. Of one farm it shows each backend: its state, and the file that sets it; its share
of new connections; open connections; new connections, and since when; and persistent clients.
Also shows changes in the files that are not applied, and whether the files are on hold or a load
waits to be confirmed. At the end: what keeps the farms from working on this machine now. Exit
status: 0 the kernel has the rules loaded last, 1 it has not, or cannot be read, or the machine
stops packets of a farm.`,
	flags: func(c *call) {
		c.set.BoolVar(&c.json, "json", false, "write JSON, for programs; see farmc-operations(7)")
		c.set.BoolVar(&c.watch, "watch", false, "show it again every second, on a terminal, until Ctrl-C")
	},
	run: func(ctx context.Context, c *call) int {
		switch {
		case len(c.args) > 1:
			return c.usageError("status takes at most one farm")
		case c.watch && c.json:
			return c.usageError("--watch and --json exclude each other")
		case c.watch && !isTerminal(c.stdout):
			return c.usageError("--watch needs a terminal; for programs there is --json")
		case c.watch:
			return c.watchStatus(ctx)
		}
		return c.printStatus(c.status(ctx))
	},
}

// status returns the status of the farms. Within farmc watch it is that of the last look of watch, unless the kernel
// has other rules since: so it waits for no load, and no load waits for it.
func (c *call) status(ctx context.Context) (live.Status, error) {
	if c.watcher != nil {
		s, err := c.watcher.reader.StatusOf(ctx, c.farm(), rateTime)
		if err != nil || s.Rules == live.RulesLoaded {
			return s, err
		}
	} else {
		collectLate()
	}
	e := c.engine()
	s, err := e.Status(ctx, c.farm())
	if err == nil {
		err = e.SetRates(ctx, &s, rateTime)
	}
	return s, err
}

// collectLate has garbage collected only once the memory is worth it: a quarter less time with 10,000 farms. The
// process ends soon.
func collectLate() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(-1)
		debug.SetMemoryLimit(800 << 20)
	}
}

// rateTime is the time in which status counts new connections for the rate.
const rateTime = 200 * time.Millisecond

// farm is the farm that status is asked for; "": all.
func (c *call) farm() string { return strings.Join(c.args, "") }

// printStatus prints a status and its error, and returns the exit status.
func (c *call) printStatus(s live.Status, err error) int {
	switch {
	case c.json && (err == nil || len(s.Farms) > 0 || errors.Is(err, live.ErrNothingLoaded)):
		err = errors.Join(err, json.NewEncoder(c.stdout).Encode(s))
	case err == nil || len(s.Farms) > 0:
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
	showPanics(c.stdout, s.Farms, paint)
	switch {
	case len(s.Farms) == 0:
		fmt.Fprintln(c.stdout, "no farms")
	case c.farm() != "":
		showFarm(c.stdout, s, paint)
	default:
		showFarms(c.stdout, s.Farms, paint)
	}
	showPending(c.stdout, s, paint)
	showIncomplete(c.stdout, s.Incomplete)
	if s.Blocked != "" {
		fmt.Fprintf(c.stdout, "\n%s%s%s\n", paint.Warning, s.Blocked, paint.Reset)
	}
	if len(s.Findings) > 0 {
		fmt.Fprintln(c.stdout)
		s.Findings.Diagnostics().Print(c.stdout, paint)
	}
}

// showPanics prints a line for each farm whose unhealthy backends serve.
func showPanics(w io.Writer, farms []live.FarmStatus, paint diag.Palette) {
	shown := 0
	for _, f := range farms {
		if f.Panic == "" {
			continue
		}
		if shown++; shown <= maxListed {
			fmt.Fprintf(w, "%s%s: panic: %s%s\n", paint.Fault, f.Name, f.Panic, paint.Reset)
		}
	}
	if shown > maxListed {
		fmt.Fprintf(w, "%sand %d more farms panic%s\n", paint.Fault, shown-maxListed, paint.Reset)
	}
}

// showPending prints the changes in the files that are not applied.
func showPending(w io.Writer, s live.Status, paint diag.Palette) {
	switch {
	case len(s.Faults) > 0:
		fmt.Fprintf(w, "\n%sthe files have faults: run farmc check%s\n", paint.Warning, paint.Reset)
	case len(s.Pending) > 0:
		fmt.Fprintf(w, "\n%sthe files have changes that are not applied:%s\n", paint.Warning, paint.Reset)
		for _, change := range s.Pending[:min(len(s.Pending), maxListed)] {
			fmt.Fprintln(w, "  "+change)
		}
		if more := len(s.Pending) - maxListed; more > 0 {
			fmt.Fprintf(w, "  and %d more changes\n", more)
		}
	}
}

// showIncomplete prints the files of farms that are not ready.
func showIncomplete(w io.Writer, files []string) {
	if len(files) == 0 {
		return
	}
	fmt.Fprintln(w, "\nincomplete farms, which are not read:")
	for _, file := range files[:min(len(files), maxListed)] {
		fmt.Fprintln(w, "  "+file)
	}
	if more := len(files) - maxListed; more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
}

// conditions are the words for the conditions of farms, the worst first.
var conditions = []struct {
	is   live.Condition
	word string
}{
	{live.Stopped, "stopped"}, {live.NoBackend, "no backend"}, {live.Panicking, "panic"},
	{live.Degraded, "degraded"}, {live.Working, "up"}, {live.Disabled, "down"},
}

func rank(f live.FarmStatus) int {
	for i, c := range conditions {
		if c.is == f.Condition {
			return i
		}
	}
	return len(conditions)
}

// showFarms prints a line for each farm, problems first.
func showFarms(w io.Writer, farms []live.FarmStatus, paint diag.Palette) {
	farms = slices.Clone(farms)
	slices.SortStableFunc(farms, func(a, b live.FarmStatus) int { return rank(a) - rank(b) })
	rows := [][]string{{"FARM", "STATE", "UP", "NEW/S", "OPEN", "DENIED"}}
	for _, f := range farms {
		rows = append(rows, []string{f.Name, conditions[min(rank(f), len(conditions)-1)].word,
			fmt.Sprintf("%d/%d", f.BackendsUp, len(f.Backends)), rate(f.NewPerSecond), number(f.Open), held(f)})
	}
	widths := columnWidths(rows)
	widths[0] = max(min(widths[0], widths[0]+screenWidth+2-sum(widths)-2*len(widths)), 1)
	for _, row := range rows {
		row[0] = cut(row[0], widths[0])
		fmt.Fprintln(w, strings.TrimRight(tableRow(row, widths, 1, paint), " ")[2:])
	}
}

// held is the number of packets that were denied or held back by a limit.
func held(f live.FarmStatus) string {
	if len(f.HeldBack) == 0 {
		return "-"
	}
	packets := uint64(0)
	for _, n := range f.HeldBack {
		packets += n
	}
	return fmt.Sprint(packets)
}

// cut shortens a word to a width in columns.
func cut(text string, width int) string {
	if len(text) <= width { // names of farms are ASCII
		return text
	}
	return text[:width-1] + "…"
}

func columnWidths(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for column := range widths {
			widths[column] = max(widths[column], utf8.RuneCountInString(row[column]))
		}
	}
	return widths
}

func sum(numbers []int) (out int) {
	for _, n := range numbers {
		out += n
	}
	return out
}

// screenWidth is the least width of a terminal, in columns.
const screenWidth = 80

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
		"degraded": paint.Warning, "panic": paint.Fault, "no backend": paint.Fault, "stopped": paint.Fault,
	}[state]
}

// rate formats a number of connections per second, or "-" for nil.
func rate(n *float64) string {
	switch {
	case n == nil:
		return "-"
	case *n > 0 && *n < 10:
		return strconv.FormatFloat(*n, 'f', 1, 64)
	}
	return strconv.FormatFloat(*n, 'f', 0, 64)
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
