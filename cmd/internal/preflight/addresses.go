package preflight

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// missingAddresses warns about frontend addresses that this machine does not have: one warning for the addresses on a
// link of this machine, and one for all others.
func (r *routes) missingAddresses(farms []*farm.Farm) diag.Diagnostics {
	missing := r.frontendsByRoute(farms)
	var warnings diag.Diagnostics
	if on := missing[onLink]; len(on) > 0 {
		warnings = append(warnings, missingAddress(on,
			"no interface of this machine has %s, so no host on the link sends packets for it here", "%s"))
	}
	if off := missing[elsewhere]; len(off) > 0 {
		warnings = append(warnings, missingAddress(off,
			"not an address of this machine: %s; packets arrive only if a router sends them here",
			"nothing, if a router does; else %s"))
	}
	return warnings
}

// frontendsByRoute groups the frontends of farms that are up by the route of their address. Each address occurs once.
func (r *routes) frontendsByRoute(farms []*farm.Farm) map[destination][]farm.Listen {
	grouped := map[destination][]farm.Listen{}
	seen := map[netip.Addr]bool{}
	for _, f := range farms {
		for _, l := range f.Listen {
			if f.Down || !l.Address.IsValid() || seen[l.Address] {
				continue
			}
			seen[l.Address] = true
			to := r.to(l.Address)
			grouped[to] = append(grouped[to], l)
		}
	}
	return grouped
}

// missingAddress is one warning about all the addresses. Message and hint are formats: the message takes the list of
// addresses, the hint the command that adds the first one.
func missingAddress(listens []farm.Listen, message, hint string) diag.Diagnostic {
	const maxNames = 4
	var names []string
	for _, l := range listens[:min(len(listens), maxNames)] {
		names = append(names, l.Address.String())
	}
	if more := len(listens) - maxNames; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	first := listens[0].Address
	return diag.Diagnostic{
		Severity: diag.Warning,
		Place:    listens[0].Place,
		Message:  fmt.Sprintf(message, strings.Join(names, ", ")),
		Hint:     fmt.Sprintf(hint, fmt.Sprintf("ip address add %s/%d dev lo", first, first.BitLen())),
	}
}

// ownBackends warns about backends on this machine in farms that hand on frames at ingress. The frame leaves by an
// interface, and no other host answers for an address of this machine.
func (r *routes) ownBackends(farms []*farm.Farm) (warnings diag.Diagnostics) {
	for _, f := range farms {
		if f.Down || len(f.Interfaces) == 0 || f.Mode != farm.DSR && f.Mode != farm.Stateless {
			continue
		}
		for _, b := range f.Backends {
			i := slices.IndexFunc(b.Address[:], func(a netip.Addr) bool { return a.IsValid() && r.to(a) == local })
			if i >= 0 && b.State == farm.Up {
				warnings = append(warnings, ownBackend(f, b, b.Address[i]))
			}
		}
	}
	return warnings
}

func ownBackend(f *farm.Farm, b farm.Backend, address netip.Addr) diag.Diagnostic {
	return diag.Diagnostic{
		Severity: diag.Warning,
		Farm:     f.Name,
		Place:    b.Place,
		Message: fmt.Sprintf(
			"backend %s: %s is an address of this machine, but mode %s at ingress reaches only other machines",
			b.Name, address, f.Mode),
		Hint: "use mode dnat or local, or mode stateless without interfaces",
	}
}
