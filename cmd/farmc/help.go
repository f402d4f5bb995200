package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// helpVerb is a function because it calls verbs, which a variable's initial value cannot.
func helpVerb() verb {
	return verb{
		name:    "help",
		args:    "[COMMAND]",
		summary: "explain a command",
		bare:    true,
		run:     help,
	}
}

func help(_ context.Context, c *call) int {
	if len(c.args) == 0 {
		fmt.Fprint(c.stdout, usage())
		return exitOK
	}
	i := slices.IndexFunc(verbs(), func(v verb) bool { return v.name == c.args[0] })
	if i < 0 || len(c.args) > 1 {
		fmt.Fprintf(c.stderr, "farmc: %s\n", unknownCommand(strings.Join(c.args, " ")))
		return exitUsage
	}
	fmt.Fprint(c.stdout, verbs()[i].help())
	return exitOK
}

func usage() string {
	var out strings.Builder
	out.WriteString("farmc compiles farms (load-balanced services, one TOML file each) into nft rules.\n\n")
	for _, v := range verbs() {
		fmt.Fprintf(&out, "  %-34s %s\n", strings.TrimSpace("farmc "+v.name+" "+v.args), v.summary)
	}
	out.WriteString("\nRun farmc help COMMAND for its options.\n")
	return out.String()
}

// help returns the help text of the verb.
func (v verb) help() string {
	var out strings.Builder
	fmt.Fprintf(&out, "farmc %s: %s\n", strings.TrimSpace(v.name+" "+v.args), v.summary)
	if v.about != "" {
		fmt.Fprintf(&out, "\n%s\n", v.about)
	}
	if options := v.flagSet(&call{}).FlagUsages(); options != "" {
		fmt.Fprintf(&out, "\nOptions:\n%s", options)
	}
	return out.String()
}
