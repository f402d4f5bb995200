package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/live"
)

// redrawTime is the time between two views of status --watch. A view that takes long is followed by a longer pause, so
// that at most a fifth of one processor is used.
const redrawTime = time.Second

// watchStatus shows the status again and again, until the context ends. Rates of all farms are those between two views.
func (c *call) watchStatus(ctx context.Context) int {
	e := c.engine()
	e.Log = func(string, ...any) {}
	screen, terminal := c.stdout, terminalOf(c.stdout)
	for {
		began := time.Now()
		s, err := e.Status(ctx, c.farm())
		if err == nil {
			err = e.SetRates(ctx, &s, rateTime)
		}
		if ctx.Err() != nil {
			return exitOK
		}
		var view bytes.Buffer
		fmt.Fprintf(&view, "farmc status at %s, Ctrl-C ends it\n\n", time.Now().Format(time.TimeOnly))
		c.showView(&view, s, err)
		if _, err := io.WriteString(screen, clearScreen+firstLines(view.String(), height(terminal))); err != nil {
			return exitFailure
		}
		select {
		case <-ctx.Done():
			return exitOK
		case <-time.After(max(redrawTime-time.Since(began), 4*time.Since(began))):
		}
	}
}

// showView writes a status with the colours of the terminal, or the error.
func (c *call) showView(view io.Writer, s live.Status, err error) {
	other := *c
	if other.color == "auto" && c.palette(c.stdout).Reset != "" {
		other.color = "always"
	}
	other.stdout = view
	if err == nil || len(s.Farms) > 0 {
		other.showStatus(s)
	}
	if err != nil {
		fmt.Fprintln(view, oneLine(c.needsRoot(err).Error()))
	}
}

// clearScreen moves the cursor to the upper left corner and clears the terminal.
const clearScreen = "\x1b[H\x1b[2J"

// firstLines shortens a text to so many lines. The last line tells how many are left out.
func firstLines(text string, most int) string {
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < most {
		return text
	}
	kept := max(most-2, 1)
	return strings.Join(lines[:kept], "") + fmt.Sprintf("and %d more lines\n", len(lines)-kept)
}

func terminalOf(w io.Writer) *os.File {
	if o, is := w.(*output); is {
		w = o.Writer
	}
	f, _ := w.(*os.File)
	return f
}

// height is the number of lines of a terminal, or 24 if it is unknown.
func height(terminal *os.File) int {
	size, err := unix.IoctlGetWinsize(int(terminal.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Row == 0 {
		return 24
	}
	return int(size.Row)
}
