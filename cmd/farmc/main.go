// Farmc compiles farms (load-balanced services of one TOML file each) into one nft script, checks it and loads it.
//
// The package parses command lines, prints results and sets exit statuses. Package live does the work; nothing here
// knows nft or the state directory's files. Each command is a verb in the file of its name (apply.go, status.go, ...);
// confirm.go has confirm and rollback, confirmtimer.go the hidden await, backend.go drain, down and up, ban.go has ban
// and unban. api.go has the API of watch, apifront.go the command api, healthwatch.go the checks within watch. run.go
// selects the verb, options.go has the common options, completion.go and help.go are generated from the verbs.
//
// Standard output is for results (scripts, status, diffs), standard error for diagnostics and logs. Text in help,
// manual pages and completion comes from the verbs and their flags.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() { os.Exit(start(os.Stderr)) }

// start runs farmc and returns its exit status. Diagnostics and logs go to stderr.
func start(stderr io.Writer) int {
	if os.Getenv("GOGC") == "" {
		// Nearly all allocations of a compilation live until its end: a quarter less time for a quarter more memory.
		debug.SetGCPercent(200)
		if os.Getenv("GOMEMLIMIT") == "" {
			// Beyond, memory is collected at once: the largest farms take less than 1 GB.
			debug.SetMemoryLimit(700 << 20)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Stdout, stderr)
}
