// Package doctor examines this machine more thoroughly than a load may: it asks other machines, the service manager and
// the kernel. It adds kinds of findings to package preflight's.
//
// The package knows farms, the network of this machine and the units of the package farmc. It changes nothing but the
// kernel's table of neighbours, and does not know rules or the state directory.
//
// doctor.go (Examine) is the entry. Prompt (prompt.go) has the kernel ask for backends before preflight looks at them.
// answers.go finds machines that answer for the address of a dsr service. mtu.go compares the sizes of packets,
// tracking.go has the fill of connection tracking, sourceports.go the ports that it has left, idle.go the farms without
// a backend for new clients, versions.go nft and the kernel, units.go the units, clock.go the time. backend.go writes
// the commands for backends.
package doctor

import (
	"context"
	"slices"
	"time"

	"farmc/cmd/internal/preflight"
	"farmc/compiler/farm"
)

// A Patient is the machine as the caller knows it.
type Patient struct {
	Farms  []*farm.Farm
	Nft    string    // version of nft; "": unknown
	Loaded time.Time // of the last load; zero: none
}

// Examine returns the findings of all kinds that preflight does not have. It waits a second for answers, if there are
// dsr farms.
func Examine(ctx context.Context, p Patient) (found preflight.Findings) {
	var up []*farm.Farm
	for _, f := range p.Farms {
		if !f.Down {
			up = append(up, f)
		}
	}
	table := readTracking()
	return slices.Concat(answers(ctx, up), packetSizes(up), table.findings(up), sourcePorts(ctx, table.entries, up),
		idleFarms(up), versions(p.Nft, kernelRelease()), units(ctx), clock(p.Loaded, time.Now()))
}

// names returns the names of farms.
func names(farms []*farm.Farm) []string {
	out := make([]string, len(farms))
	for i, f := range farms {
		out[i] = f.Name
	}
	return out
}
