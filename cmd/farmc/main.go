// Farmc compiles farms, load-balanced services of one TOML file each, into one nft script, and loads it.
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

// start is farmc from its beginning to its exit status. What it tells people goes to stderr.
func start(stderr io.Writer) int {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200) // nearly all that a compile makes lasts until it ends: a quarter less time, a quarter more memory
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Stdout, stderr)
}
