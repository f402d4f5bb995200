package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"farmc/cmd/internal/live"
	"farmc/compiler/diag"
)

// An outcome is the result of one apply of watch.
type outcome struct {
	live.Plan
	diagnostics diag.Diagnostics
	err         error
	began       time.Time // start of the apply
}

// loaded reports whether the kernel has the rules of the files, apart from farms that were isolated or are on hold.
func (o outcome) loaded() bool {
	return o.err == nil || errors.Is(o.err, live.ErrUnkept) || o.Isolated != nil || o.Held != nil
}

// statusLine describes the outcome for systemd.
func (o outcome) statusLine() string {
	faults := func() string { return summary(o.diagnostics) + ": " + firstFault(o.diagnostics) }
	switch {
	case o.Isolated != nil:
		return fmt.Sprintf("%s; %s; %s loaded", faults(), live.Abbreviate(o.Isolated), farms(len(o.Script.Farms)))
	case errors.Is(o.err, live.ErrFaulty):
		return faults() + "; the rules that run stay as they are"
	case o.err != nil:
		return o.err.Error()
	}
	return farms(len(o.Script.Farms)) + " loaded"
}

// firstFault returns the first fault with its place.
func firstFault(diagnostics diag.Diagnostics) string {
	for _, d := range diagnostics {
		if d.Severity == diag.Fault {
			return strings.TrimPrefix(d.Place.String()+": ", ": ") + d.Message
		}
	}
	return "nft refuses the script"
}

// key is a text that is equal for outcomes with the same diagnostics and error.
func (o outcome) key() string {
	var out strings.Builder
	o.diagnostics.Print(&out, diag.Palette{})
	err := o.err
	var why syscall.Errno
	switch {
	case errors.Is(err, live.ErrOnTrial):
		err = live.ErrOnTrial // without the time left
	case errors.Is(err, live.ErrUnkept) && errors.As(err, &why):
		err = fmt.Errorf("%w: %w", live.ErrUnkept, why) // without the file, as each attempt can fail at another one
	}
	if err != nil {
		fmt.Fprintln(&out, err)
	}
	return out.String()
}
