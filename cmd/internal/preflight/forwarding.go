package preflight

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"farmc/cmd/internal/nft"
	"farmc/compiler"
	"farmc/compiler/addr"
	"farmc/compiler/diag"
)

// forwardingSwitch is the sysctl that lets a machine forward packets of the family.
var forwardingSwitch = [...]string{
	addr.IP4: "net.ipv4.ip_forward",
	addr.IP6: "net.ipv6.conf.all.forwarding",
}

func (r *routing) forwarding(family addr.Family, farms []*compiler.Farm) diag.Diagnostics {
	name := forwardingSwitch[family]
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

// forwards says whether some farm sends packets of the family on to another machine.
func (r *routing) forwards(family addr.Family, farms []*compiler.Farm) bool {
	for _, f := range farms {
		for _, b := range f.Backends {
			if !f.Down && f.Mode != compiler.DSR && b.State == compiler.Up && b.Address.Has(family) && f.Listens(family) && r.to(b.Address[family]) != local {
				return true
			}
		}
	}
	return false
}

// wayThrough are the matches that tell the farms' packets in a forward chain.
func wayThrough(farms []*compiler.Farm) (matches []string) {
	for _, f := range farms {
		match := "ct status dnat"
		if f.Mode == compiler.Stateless {
			match = "ct state untracked"
		}
		if (f.Mode == compiler.Stateless || f.Mode == compiler.DNAT || f.Mode == compiler.SNAT) && !f.Down && !slices.Contains(matches, match) {
			matches = append(matches, match)
		}
	}
	slices.Sort(matches)
	return matches
}

func foreignDrops(ctx context.Context, n nft.Nft, matches []string) diag.Diagnostics {
	drops, err := n.ForeignDrops(ctx)
	if err != nil {
		return diag.Diagnostics{{Severity: diag.Warning, Message: fmt.Sprintf("can't tell whether a filter drops the farms' packets: %v", err)}}
	}
	var told diag.Diagnostics
	for _, c := range drops {
		var hints []string
		for _, match := range matches {
			hints = append(hints, fmt.Sprintf("nft add rule %s %s %s %s accept", c.Family, c.Table, c.Name, match))
		}
		told = append(told, diag.Diagnostic{
			Severity: diag.Warning,
			Message:  fmt.Sprintf("the chain %s of the table %s %s, which is not ours, drops forwarded packets unless a rule accepts them", c.Name, c.Family, c.Table),
			Hint:     strings.Join(hints, "; "),
		})
	}
	return told
}
