package preflight

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"farmc/cmd/internal/nft"
	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// forwardingSysctl names the sysctl that lets a machine forward packets of the family.
var forwardingSysctl = [...]string{
	addr.IP4: "net.ipv4.ip_forward",
	addr.IP6: "net.ipv6.conf.all.forwarding",
}

// forwarding warns if the farms need forwarding and the sysctl is 0.
func (r *routes) forwarding(family addr.Family, farms []*farm.Farm) diag.Diagnostics {
	name := forwardingSysctl[family]
	text, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil || strings.TrimSpace(string(text)) != "0" || !r.forwards(family, farms) {
		return nil
	}
	return diag.Diagnostics{{
		Severity: diag.Warning,
		Message:  fmt.Sprintf("this machine does not forward %s, so no packet reaches a backend", family),
		Hint:     fmt.Sprintf("sysctl -w %s=1, and a file in /etc/sysctl.d to keep it", name),
	}}
}

// forwards reports whether a farm sends packets of the family on to another machine.
func (r *routes) forwards(family addr.Family, farms []*farm.Farm) bool {
	return slices.ContainsFunc(farms, func(f *farm.Farm) bool {
		return !f.Down && f.Mode != farm.DSR && f.Listens(family) && r.forwardsTo(family, f.Backends)
	})
}

// forwardsTo reports whether a backend that is up has an address of the family on another machine.
func (r *routes) forwardsTo(family addr.Family, backends []farm.Backend) bool {
	return slices.ContainsFunc(backends, func(b farm.Backend) bool {
		return b.State == farm.Up && b.Address.Has(family) && r.to(b.Address[family]) != local
	})
}

// forwardMatches returns the nft matches that recognise packets of the farms in a forward chain.
func forwardMatches(farms []*farm.Farm) (matches []string) {
	for _, f := range farms {
		match := "ct status dnat"
		if f.Mode == farm.Stateless {
			match = "ct state untracked"
		}
		forwarded := f.Mode == farm.Stateless || f.Mode == farm.DNAT || f.Mode == farm.SNAT
		if forwarded && !f.Down && !slices.Contains(matches, match) {
			matches = append(matches, match)
		}
	}
	slices.Sort(matches)
	return matches
}

// foreignDrops warns about forward chains of other tables with policy drop. The hint has a rule for each match.
func foreignDrops(ctx context.Context, n nft.Nft, matches []string) diag.Diagnostics {
	chains, err := n.ForeignDrops(ctx)
	if err != nil {
		return diag.Diagnostics{{
			Severity: diag.Warning,
			Message:  fmt.Sprintf("cannot check whether another table's chain drops forwarded packets: %v", err),
		}}
	}
	var warnings diag.Diagnostics
	for _, c := range chains {
		var hints []string
		for _, match := range matches {
			hints = append(hints, fmt.Sprintf("nft add rule %s %s %s %s accept", c.Family, c.Table, c.Name, match))
		}
		warnings = append(warnings, diag.Diagnostic{
			Severity: diag.Warning,
			Message: fmt.Sprintf("chain %s of table %s %s drops forwarded packets that none of its rules accepts",
				c.Name, c.Family, c.Table),
			Hint: strings.Join(hints, "; "),
		})
	}
	return warnings
}
