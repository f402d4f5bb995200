package doctor

import (
	"fmt"
	"strings"

	"farmc/cmd/internal/explain"
	"farmc/cmd/internal/preflight"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// maxIdle is the number of backends that a finding names.
const maxIdle = 3

// idleFarms finds farms without a backend that takes new clients.
func idleFarms(farms []*farm.Farm) (found preflight.Findings) {
	for _, f := range farms {
		if words := idleWords(f); words != "" {
			found = append(found, &preflight.Finding{Kind: "no-backend", Object: f.Name, Farms: []string{f.Name},
				Effect: preflight.Stops, Message: words, Commands: []string{"farmc status " + f.Name}})
		}
	}
	return found
}

// idleWords says why the clients of a family have no backend; "": they have one. The reasons of IPv4 hold for IPv6 as
// a rule, so the first family without a backend is described.
func idleWords(f *farm.Farm) string {
	if f.Mode == farm.Local {
		return ""
	}
	if len(f.Backends) == 0 {
		return "the farm has no backends"
	}
	for _, family := range addr.Families {
		if f.Listens(family) && len(f.Serving(family)) == 0 {
			return fmt.Sprintf("no backend takes new clients of %s: %s", family, shorten(explain.Idle(f, family)))
		}
	}
	return ""
}

// shorten joins the reasons of the first backends.
func shorten(reasons []string) string {
	text := strings.Join(reasons[:min(len(reasons), maxIdle)], "; ")
	if more := len(reasons) - maxIdle; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}
