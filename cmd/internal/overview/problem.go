package overview

import (
	"cmp"
	"fmt"
	"path/filepath"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/source"
)

// A Group is a group of farms with one meaning for an operator.
type Group string

// The groups.
const (
	Problem Group = "problem" // clients of the farm suffer, or may soon
	Planned Group = "planned" // files or commands take backends out
	Up      Group = "up"
	Down    Group = "down" // the file says so
)

// Groups are all groups, the worst first.
var Groups = []Group{Problem, Planned, Up, Down}

// Severities order farms, the worst first.
const (
	stopped = iota
	noBackend
	panicking
	unloaded
	unhealthy
	faulty
	planned
	working
	disabled
)

// severity returns the severity of a farm.
func severity(f *live.FarmStatus, faults []live.FarmFault) int {
	switch f.Condition {
	case "":
		return unloaded
	case live.Stopped:
		return stopped
	case live.NoBackend:
		return noBackend
	case live.Panicking:
		return panicking
	}
	switch {
	case f.Condition != live.Disabled && hasUnhealthy(f):
		return unhealthy
	case len(faults) > 0:
		return faulty
	case f.Condition == live.Disabled:
		return disabled
	case f.Condition == live.Degraded:
		return planned
	}
	return working
}

func groupOf(severity int) Group {
	switch severity {
	case planned:
		return Planned
	case working:
		return Up
	case disabled:
		return Down
	}
	return Problem
}

func hasUnhealthy(f *live.FarmStatus) bool {
	for i := range f.Backends {
		if isUnhealthy(&f.Backends[i]) {
			return true
		}
	}
	return false
}

func isUnhealthy(b *live.BackendStatus) bool { return b.Healthy != nil && !*b.Healthy }

// problems returns the problems of a farm in words, the worst first.
func problems(f *live.FarmStatus, faults []live.FarmFault) (out []string) {
	switch f.Condition {
	case live.Stopped:
		out = append(out, "the kernel does not have its rules")
	case live.NoBackend:
		out = append(out, "no backend takes new connections")
	case live.Panicking:
		out = append(out, f.Panic)
	}
	for i := range f.Backends {
		if b := &f.Backends[i]; isUnhealthy(b) {
			out = append(out, unhealthyWords(b))
		}
	}
	for _, fault := range faults {
		out = append(out, faultWords(fault))
	}
	if f.Condition == "" && len(faults) == 0 {
		out = append(out, "the farm is not loaded yet")
	}
	for i := range f.Backends {
		if b := &f.Backends[i]; !isUnhealthy(b) && (b.State == "drain" || b.State == "down") {
			out = append(out, b.Name+": "+b.State+byFile(b.StateFile))
		}
	}
	return out
}

func unhealthyWords(b *live.BackendStatus) string {
	for _, w := range b.Health {
		if !w.Healthy {
			return b.Name + " unhealthy: " + cmp.Or(w.Reason, "says "+w.By)
		}
	}
	return b.Name + " unhealthy"
}

func faultWords(f live.FarmFault) string {
	switch {
	case f.File == "":
		return f.Message
	case f.Line == 0:
		return filepath.Base(f.File) + ": " + f.Message
	}
	return fmt.Sprintf("%s:%d: %s", filepath.Base(f.File), f.Line, f.Message)
}

// byFile names the file that takes a backend out.
func byFile(path string) string {
	switch {
	case path == "":
		return ""
	case source.IsOwnDropIn(path):
		return " by a command or a request"
	}
	return " in " + filepath.Base(path)
}
