package preflight

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler"
	"farmc/compiler/diag"
)

// unreached warns of addresses that farms listen on and this machine does not have, all of a kind at once.
func (r *routing) unreached(farms []*compiler.Farm) diag.Diagnostics {
	astray := map[destination][]compiler.Listen{}
	seen := map[netip.Addr]bool{}
	for _, f := range farms {
		for _, l := range f.Listen {
			if f.Down || !l.Address.IsValid() || seen[l.Address] {
				continue
			}
			seen[l.Address] = true
			to := r.to(l.Address)
			astray[to] = append(astray[to], l)
		}
	}
	var told diag.Diagnostics
	if on := astray[onLink]; len(on) > 0 {
		told = append(told, unreachedBy(on, "no interface of this machine has %s, so nobody on the link sends packets for it here", "%s"))
	}
	if off := astray[elsewhere]; len(off) > 0 {
		told = append(told, unreachedBy(off, "no address of this machine: %s; only what a router sends here arrives", "right if a router does; else %s"))
	}
	return told
}

func unreachedBy(listens []compiler.Listen, message, hint string) diag.Diagnostic {
	const most = 4
	var names []string
	for _, l := range listens[:min(len(listens), most)] {
		names = append(names, l.Address.String())
	}
	if more := len(listens) - most; more > 0 {
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

// handedToItself warns of backends on this machine that frames are handed on to from ingress: they leave by an interface,
// and nobody there answers for an address of ours.
func (r *routing) handedToItself(farms []*compiler.Farm) (told diag.Diagnostics) {
	for _, f := range farms {
		if f.Down || len(f.Interfaces) == 0 || f.Mode != compiler.DSR && f.Mode != compiler.Stateless {
			continue
		}
		for _, b := range f.Backends {
			at := slices.IndexFunc(b.Address[:], func(a netip.Addr) bool { return a.IsValid() && r.to(a) == local })
			if at < 0 || b.State != compiler.Up {
				continue
			}
			told = append(told, diag.Diagnostic{
				Severity: diag.Warning,
				Farm:     f.Name,
				Place:    b.Place,
				Message:  fmt.Sprintf("backend %s: %s is this machine's own, and what %s hands on from ingress reaches other machines alone", b.Name, b.Address[at], f.Mode),
				Hint:     "mode dnat, or stateless without interfaces, has backends here, too; mode local serves from here",
			})
		}
	}
	return told
}
