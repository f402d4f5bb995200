package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"farmc/cmd/internal/statedir"
)

var historyVerb = verb{
	name:    "history",
	summary: "show the last loads that edits of farms caused",
	about: `Prints the last ten loads that edits of farms or lists caused, the current one (number 0) first:
its number, its time, the farms that changed, and the command that loaded them. farmc rollback N
loads the farms of number N. Loads that only changed states of backends are left out.`,
	flags: func(c *call) { c.set.BoolVar(&c.json, "json", false, "write JSON, for programs") },
	run: func(_ context.Context, c *call) int {
		all, err := c.engine().Store.History()
		if err == nil && c.json {
			err = json.NewEncoder(c.stdout).Encode(append([]statedir.HistoryEntry{}, all...))
		}
		if err != nil {
			c.printError(err)
			return exitFailure
		}
		if !c.json {
			c.showHistory(all)
		}
		return exitOK
	},
}

func (c *call) showHistory(all []statedir.HistoryEntry) {
	if len(all) == 0 {
		fmt.Fprintln(c.stdout, "no loads")
		return
	}
	fmt.Fprintf(c.stdout, "%2s  %-19s  %-22s  %s\n", "N", "TIME", "CAUSE", "FARMS")
	for n, entry := range all {
		lines := wrap(commas(entry.Farms), screenWidth-49)
		if len(lines) > maxFarmLines {
			lines = append(lines[:maxFarmLines], fmt.Sprintf("... %d farms", len(entry.Farms)))
		}
		fmt.Fprintf(c.stdout, "%2d  %-19s  %-22s  %s\n", n, localTime(entry.Time), entry.Cause, strings.Join(lines,
			"\n"+strings.Repeat(" ", 49)))
	}
}

// maxFarmLines is the number of lines for the farms of a load.
const maxFarmLines = 4

func localTime(t time.Time) string { return t.Local().Format(time.DateTime) }

// commas adds a comma to each word but the last.
func commas(words []string) (out []string) {
	for i, word := range words {
		if i < len(words)-1 {
			word += ","
		}
		out = append(out, word)
	}
	return out
}
