package ruleset

import (
	"cmp"
	"net/netip"
	"slices"

	"farmc/compiler/farm"
)

// A guard of replies stands in for the rules of stateless farms while another program has removed them. Replies of
// backends can still come, as requests reached the backends by another balancer. Without rewriting, clients would reset
// their connections. Dropped replies are sent again.

// A ReplySource tells replies of a stateless backend by the protocol, address and ports that they come from.
type ReplySource struct {
	Protocol uint8 // its number in the IP header; 0: all
	Address  netip.Addr
	Ports    farm.Ports // 0 to 65535 of protocols without ports
}

// ReplySources gives the sources of replies that the rules of farms rewrite, each once, in the order of protocols,
// addresses and ports.
func ReplySources(farms []*farm.Farm) (out []ReplySource) {
	for _, f := range farms {
		if f.Mode != farm.Stateless || f.Down {
			continue
		}
		for _, d := range f.Frontends() {
			for _, r := range d.Replies() {
				out = append(out, ReplySource{uint8(d.Protocol.Number()), r.Address, r.Ports})
			}
		}
	}
	slices.SortFunc(out, func(a, b ReplySource) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), a.Address.Compare(b.Address),
			cmp.Compare(a.Ports.First, b.Ports.First), cmp.Compare(a.Ports.Last, b.Ports.Last))
	})
	return slices.Compact(out)
}
