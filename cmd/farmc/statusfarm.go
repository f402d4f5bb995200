package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/live"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// showFarm prints the only farm of a status in full.
func showFarm(w io.Writer, s live.Status, paint diag.Palette) {
	f := s.Farms[0]
	word := conditions[min(rank(f), len(conditions)-1)].word
	fmt.Fprintf(w, "%s%s%s  %s%s%s\n", paint.Bold, f.Name, paint.Reset, stateColour(word, paint), word, paint.Reset)
	mode := f.Mode
	if f.Scheduler != "" {
		mode += ", scheduler " + f.Scheduler
	}
	showFact(w, "mode", []string{mode})
	showFact(w, "source", listed(sources(f.Backends)))
	showFact(w, "frontends", wrap(f.Listen, screenWidth-factIndent))
	showFact(w, "announced", announced(f))
	showFact(w, "files", f.Files)
	showFact(w, "loaded", []string{loaded(s)})
	showFact(w, "agreement", []string{agreement(s)})
	fmt.Fprintln(w)
	showBackends(w, f.Backends, paint)
	showFact(w, "here", here(f.Backends))
	showFact(w, "ports", movedPorts(f.Backends))
	showFact(w, "state of", settings(f.Backends))
	showFact(w, "hostnames", hostFacts(s.Hosts))
	showFact(w, "health", healthWords(f.Backends))
	showFact(w, "new since", times(f.Backends))
	showFact(w, "held back", byReason(f.HeldBack))
	showFact(w, "let pass", byReason(f.LetPass))
	if f.Cookies != nil {
		showFact(w, "synproxy", []string{fmt.Sprintf("%d SYNs answered with cookies", *f.Cookies)})
	}
	showFact(w, "log-only", logOnly(f))
	showFact(w, "banned", banned(f))
}

// announced lists the addresses that are announced, and says why others are not; nothing for a farm without announce.
func announced(f live.FarmStatus) []string {
	lines := wrap(f.Announced, screenWidth-factIndent)
	if f.Unannounced != "" {
		lines = append(lines, "not announced: "+f.Unannounced)
	}
	return lines
}

// factIndent is the number of columns before the value of a fact.
const factIndent = 13

// showFact prints a name, and its value in lines.
func showFact(w io.Writer, name string, lines []string) {
	for _, line := range lines {
		fmt.Fprintf(w, "  %-*s%s\n", factIndent-2, name, diag.Printable(line))
		name = ""
	}
}

// showFault is showFact for something that stops packets: the first line is in colour.
func (c *call) showFault(name string, lines []string) {
	paint := c.palette(c.stdout)
	fmt.Fprintf(c.stdout, "  %-*s%s%s%s\n", factIndent-2, name, paint.Fault, diag.Printable(lines[0]), paint.Reset)
	showFact(c.stdout, "", lines[1:])
}

// loaded tells when the farms were loaded, and by which command.
func loaded(s live.Status) string {
	if s.Load.Cause == "" {
		return timeOf(s.Load.Time)
	}
	return timeOf(s.Load.Time) + " by " + s.Load.Cause
}

// timeOf writes a time of JSON as history does.
func timeOf(text string) string {
	t, _ := time.Parse(time.RFC3339, text)
	return localTime(t)
}

// agreement tells whether the kernel and the files have the last good script.
func agreement(s live.Status) string {
	kernel, files := "the kernel has the last good script", "the files are the same"
	if s.Rules != live.RulesLoaded {
		kernel = "the kernel has other rules than the last good script"
	}
	switch {
	case s.Agree:
		return "kernel, files and last good script agree"
	case len(s.Faults) > 0:
		files = "the files have faults"
	case len(s.Pending) > 0:
		files = "the files have changes"
	}
	return kernel + "; " + files
}

// settings are the backends with a state that a file sets, and the line.
func settings(all []live.BackendStatus) (out []string) {
	for _, b := range all {
		if b.StateFile != "" {
			out = append(out, fmt.Sprintf("%s: %s:%d", b.Name, b.StateFile, b.StateLine))
		}
	}
	return out
}

// healthWords are the words of checkers that have an effect.
func healthWords(all []live.BackendStatus) (out []string) {
	for _, b := range all {
		for _, word := range b.Health {
			out = append(out, b.Name+": "+word.String()+sinceWhen(b))
			if word.Next != "" {
				out = append(out, b.Name+": next check "+timeOf(word.Next))
			}
		}
		if b.SlowStart {
			out = append(out, b.Name+": recovered, its weight rises"+sinceWhen(b))
		}
	}
	return out
}

// sinceWhen tells since when a backend is healthy or not, if that is known.
func sinceWhen(b live.BackendStatus) string {
	if b.HealthSince == "" {
		return ""
	}
	return ", since " + timeOf(b.HealthSince)
}

// here are the backends that are this machine.
func here(all []live.BackendStatus) []string {
	var names []string
	for _, b := range all {
		if b.Here {
			names = append(names, b.Name)
		}
	}
	return wrap(names, screenWidth-factIndent)
}

// movedPorts are the moved ports of the backends, with the names of the backends if these differ.
func movedPorts(all []live.BackendStatus) (out []string) {
	names := map[string][]string{}
	var order []string
	for _, b := range all {
		words := strings.Join(b.Ports, ", ")
		if names[words] == nil {
			order = append(order, words)
		}
		names[words] = append(names[words], b.Name)
	}
	for _, words := range order {
		switch {
		case words == "":
			continue
		case len(order) > 1:
			words = strings.Join(names[words], ", ") + ": " + words
		}
		out = append(out, wrap(strings.Fields(words), screenWidth-factIndent)...)
	}
	return out
}

// times are the times at which the backends' counts of new connections began, with the names of the backends.
func times(all []live.BackendStatus) (out []string) {
	names := map[string][]string{}
	var order []string
	for _, b := range all {
		if b.New != nil && names[b.NewSince] == nil {
			order = append(order, b.NewSince)
		}
		if b.New != nil {
			names[b.NewSince] = append(names[b.NewSince], b.Name)
		}
	}
	for _, t := range order {
		words := timeOf(t)
		if len(order) > 1 {
			words += ": " + strings.Join(names[t], ", ")
		}
		out = append(out, wrap(strings.Fields(words), screenWidth-factIndent)...)
	}
	return out
}

// byReason lists the packets that were denied or over a limit, by reason.
func byReason(packets map[string]uint64) []string {
	var out []string
	for _, reason := range append([]string{live.DeniedReason}, reasonWords()...) {
		if n := packets[reason]; n > 0 {
			out = append(out, fmt.Sprintf("%s %d", reason, n))
		}
	}
	return listed(out)
}

// logOnly lists the packets that were logged in place of being denied, by list.
func logOnly(f live.FarmStatus) (out []string) {
	for _, list := range slices.Sorted(maps.Keys(f.LogOnly)) {
		if n := f.LogOnly[list]; n > 0 {
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %d", list, n)))
		}
	}
	return listed(out)
}

// banned lists banned clients with the time left.
func banned(f live.FarmStatus) []string {
	var out []string
	for _, b := range f.Banned {
		words := b.Client
		if b.Left > 0 {
			words += " for " + timeLeft(time.Duration(b.Left*float64(time.Second)))
		}
		out = append(out, words)
	}
	if more := len(out) - maxListed; more > 0 {
		out = append(out[:maxListed:maxListed], fmt.Sprintf("and %d more", more))
	}
	return listed(out)
}

// listed joins items with commas, on as many lines as they need.
func listed(items []string) []string {
	for i := range items[:max(len(items)-1, 0)] {
		items[i] += ","
	}
	return wrap(items, screenWidth-factIndent)
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

// showBackends prints a table with a line for each backend, and one more for a second address. If the table is wider
// than the screen, addresses have lines of their own.
func showBackends(w io.Writer, all []live.BackendStatus, paint diag.Palette) {
	if len(all) == 0 {
		return
	}
	rows := [][]string{{"BACKEND", "ADDRESS", "STATE", "SHARE", "OPEN", "NEW", "NEW/S", "CLIENTS"}}
	for _, b := range all {
		for i, address := range addresses(b) {
			row := []string{"", address, "", "", "", "", "", ""}
			if i == 0 {
				row = []string{b.Name, address, b.State, share(b.Share), number(b.Open), number(b.New),
					rate(b.NewPerSecond), number(b.Clients)}
			}
			rows = append(rows, row)
		}
	}
	widths := columnWidths(rows)
	below := sum(widths)+2*len(widths) > screenWidth
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

// addresses are the addresses of a backend, with its port if it has one.
func addresses(b live.BackendStatus) []string {
	out := slices.Clone(b.Address)
	for i, address := range out {
		if b.Port != 0 && strings.Contains(address, ":") {
			address = "[" + address + "]"
		}
		if b.Port != 0 {
			address += fmt.Sprintf(":%d", b.Port)
		}
		out[i] = address
	}
	return out
}
