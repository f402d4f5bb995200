package live

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"farmc/cmd/internal/nft"
	"farmc/compiler"
	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// obstacles warns of what would make right farms silent: a machine that does not forward, a filter of somebody else's
// that drops what it does not know, an address that no packet can reach.
func obstacles(ctx context.Context, n nft.Nft, farms []*compiler.Farm) diag.Diagnostics {
	var told diag.Diagnostics
	var ways routing
	defer ways.close()
	for _, family := range addr.Families {
		told = append(told, ways.forwarding(family, farms)...)
	}
	if ways.forwards(addr.IP4, farms) || ways.forwards(addr.IP6, farms) {
		told = append(told, foreignDrops(ctx, n, wayThrough(farms))...)
	}
	return slices.Concat(told, ways.unreached(farms), ways.handedToItself(farms))
}

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

// A destination is where the kernel's routing sends an address.
type destination int

const (
	unknown   destination = iota
	local                 // to this machine
	onLink                // to a neighbour
	elsewhere             // to a router, or nowhere
)

// A routing asks the kernel's, by one socket for all questions: with one for each the addresses of 10,000 farms take
// twice as long. The zero routing has not asked yet.
type routing struct {
	kernel *netlink.Handle
	err    error
}

func (r *routing) close() {
	if r.kernel != nil {
		r.kernel.Close()
	}
}

func (r *routing) to(a netip.Addr) destination {
	if r.kernel == nil && r.err == nil {
		r.kernel, r.err = netlink.NewHandle(unix.NETLINK_ROUTE)
	}
	if r.err != nil {
		return unknown
	}
	routes, err := r.kernel.RouteGet(a.AsSlice())
	switch {
	case err == unix.ENETUNREACH || err == unix.EHOSTUNREACH || err == unix.EACCES || err == unix.EINVAL:
		return elsewhere
	case err != nil || len(routes) == 0:
		return unknown
	case routes[0].Type == unix.RTN_LOCAL:
		return local
	case routes[0].Type == unix.RTN_UNICAST && routes[0].Gw == nil && routes[0].Via == nil:
		return onLink
	}
	return elsewhere
}
