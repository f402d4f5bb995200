package preflight

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// trafficControl finds filters of tc that take packets of a farm, and programs at a link (XDP, tcx, bpf) that see them
// before farmc does. Filters of the kinds matchall and flower are followed; programs and others are named.
func (s *search) trafficControl() {
	at := map[string][]linkFilter{}
	for _, f := range s.farms[:min(len(s.farms), maxRoutedFarms)] {
		for _, p := range s.packetsOf(f) {
			for _, link := range p.clientLinks {
				if p.loopback { // packets to backends are not sent by lo
					break
				}
				s.filtered(p, at, linkPacket{link: link, hook: "ingress", to: p.requested(), ofClient: true})
				if p.answersPass() {
					s.filtered(p, at, linkPacket{link: link, hook: "egress", from: p.requested(), ofClient: true})
				}
			}
			if p.local || p.backendLink == "" {
				continue
			}
			s.filtered(p, at, linkPacket{link: p.backendLink, hook: "egress", to: p.delivered()})
			if p.answersPass() {
				s.filtered(p, at, linkPacket{link: p.backendLink, hook: "ingress", from: p.delivered()})
			}
		}
	}
}

// requested is the destination of the packets of clients.
func (p flow) requested() endpoint { return netip.AddrPortFrom(p.service, p.servicePort) }

// delivered is the destination of packets as they leave for the backend.
func (p flow) delivered() endpoint {
	if p.farm.Mode == farm.DSR {
		return p.requested()
	}
	return netip.AddrPortFrom(p.backend.Address[p.family], p.backendPort)
}

// A linkPacket is a packet of a flow on a link. One of its endpoints is a client.
type linkPacket struct {
	link, hook string
	from, to   endpoint
	ofClient   bool // between this machine and clients
}

// A linkFilter is a filter of tc on a link, with its verdict, or a program without a filter.
type linkFilter struct {
	netlink.Filter
	program string // "xdp" or "tcx"; "": a filter
	takes   bool   // drops packets, or sends them elsewhere
	known   bool   // farmc can tell which packets it is for
}

// filtered follows a packet through the filters of its link. They are read once.
func (s *search) filtered(p flow, at map[string][]linkFilter, q linkPacket) {
	filters, ok := at[q.link+" "+q.hook]
	if !ok {
		filters = s.filtersOf(q)
		at[q.link+" "+q.hook] = filters
	}
	for _, o := range filters {
		switch {
		case !o.known:
			s.found.add(unknownFilter(o, q), p.farm)
		case o.matches(p, q) && o.takes:
			s.found.add(takingFilter(o, p, q), p.farm)
			return
		case o.matches(p, q):
			return
		}
	}
}

// filtersOf reads the filters of a link, in the order in which the kernel asks them.
func (s *search) filtersOf(q linkPacket) (out []linkFilter) {
	l := s.machine.links[q.link]
	if l == nil {
		return nil
	}
	if x := l.Attrs().Xdp; x != nil && x.Attached && q.hook == "ingress" {
		out = append(out, linkFilter{program: "xdp"})
	}
	if hasTCX(l.Attrs().Index, q.hook) {
		out = append(out, linkFilter{program: "tcx"})
	}
	parent := uint32(netlink.HANDLE_MIN_INGRESS)
	if q.hook == "egress" {
		parent = netlink.HANDLE_MIN_EGRESS
	}
	all, _ := netlink.FilterList(l, parent)
	slices.SortStableFunc(all, func(a, b netlink.Filter) int {
		return int(a.Attrs().Priority) - int(b.Attrs().Priority)
	})
	for _, o := range all {
		if c := o.Attrs().Chain; c == nil || *c == 0 {
			out = append(out, s.readFilter(o))
		}
	}
	return out
}

// readFilter finds the verdict of a filter. A filter without an action lets packets pass.
func (s *search) readFilter(o netlink.Filter) linkFilter {
	var actions []netlink.Action
	switch o := o.(type) {
	case *netlink.MatchAll:
		actions = o.Actions
	case *netlink.Flower:
		actions = o.Actions
	default:
		return linkFilter{Filter: o}
	}
	f := linkFilter{Filter: o, known: true}
	for _, a := range actions {
		if m, ok := a.(*netlink.MirredAction); ok && s.sendsAway(m) {
			f.takes = true
		}
		switch a.Attrs().Action {
		case netlink.TC_ACT_SHOT:
			f.takes = true
		case netlink.TC_ACT_PIPE, netlink.TC_ACT_UNSPEC:
			continue
		}
		break
	}
	return f
}

// sendsAway reports whether an action sends packets out of another link. Those that it sends to an ifb come back, once
// their rate is limited.
func (s *search) sendsAway(m *netlink.MirredAction) bool {
	to := s.machine.links[s.machine.names[m.Ifindex]]
	return (m.MirredAction == netlink.TCA_EGRESS_REDIR || m.MirredAction == netlink.TCA_INGRESS_REDIR) &&
		(to == nil || to.Type() != "ifb")
}

// matches reports whether the filter is for all packets of the flow. The client can have any address.
func (o linkFilter) matches(p flow, q linkPacket) bool {
	if want := o.Attrs().Protocol; want != unix.ETH_P_ALL && want != etherType(p.family) {
		return false
	}
	f, ok := o.Filter.(*netlink.Flower)
	if !ok {
		return true
	}
	return (f.EthType == 0 || f.EthType == unix.ETH_P_ALL || f.EthType == etherType(p.family)) &&
		f.SrcMac == nil && f.DestMac == nil && f.VlanId == 0 && f.EncKeyId == 0 && f.EncDestIP == nil &&
		f.SrcPortRangeMax == 0 && f.DstPortRangeMax == 0 &&
		(f.IPProto == nil || int(*f.IPProto) == p.protocol.Number()) &&
		flowerCovers(f.SrcIP, f.SrcIPMask, f.SrcPort, q.from) && flowerCovers(f.DestIP, f.DestIPMask, f.DestPort, q.to)
}

func flowerCovers(ip net.IP, mask net.IPMask, port uint16, e endpoint) bool {
	a, ok := netip.AddrFromSlice(ip)
	if !ok {
		return covers(netip.Prefix{}, port, e)
	}
	bits, all := mask.Size()
	if all == 0 {
		bits = a.BitLen()
	}
	return covers(netip.PrefixFrom(a, bits), port, e)
}

func etherType(family addr.Family) uint16 {
	if family == addr.IP6 {
		return unix.ETH_P_IPV6
	}
	return unix.ETH_P_IP
}

// unknownFilter is the finding about a program that may drop or change packets.
func unknownFilter(o linkFilter, q linkPacket) Finding {
	kind, show := o.program, "ip -details link show dev "+q.link
	switch {
	case o.Filter != nil:
		kind, show = "tc "+o.Type(), fmt.Sprintf("tc filter show dev %s %s", q.link, q.hook)
	case kind == "tcx":
		show = "bpftool net show dev " + q.link
	}
	return Finding{Kind: "link-program", Object: fmt.Sprintf("%s %s %s", kind, q.link, q.hook), Effect: Notes,
		Message: fmt.Sprintf("a program (%s) sees packets of the farms at the %s of %s, and farmc cannot follow it",
			kind, q.hook, q.link),
		Advice: show + " shows it"}
}

// takingFilter is the finding about a filter. The remedy is a filter that the kernel asks before it.
func takingFilter(o linkFilter, p flow, q linkPacket) Finding {
	packets := "the packets of clients"
	if q.from.IsValid() {
		packets = "the answers"
	} else if !q.ofClient {
		packets = "the packets to backends"
	}
	f := Finding{Kind: "tc", Object: fmt.Sprintf("%s %s %d", q.link, q.hook, o.Attrs().Priority), Effect: p.effect(),
		Message: fmt.Sprintf("a filter of tc (%s, preference %d) at the %s of %s takes %s", o.Type(),
			o.Attrs().Priority, q.hook, q.link, packets)}
	if q.ofClient {
		f.Effect = Stops
	}
	const before = 3 // a preference for each protocol: IPv4, IPv6 and ARP
	if o.Attrs().Priority <= before {
		f.Advice = "delete or change the filter with the program that made it: its preference leaves no room before it"
		return f
	}
	for _, words := range passing(o, p, q) {
		f.Commands = append(f.Commands, fmt.Sprintf("tc filter add dev %s %s pref %d %s action pass", q.link, q.hook,
			int(o.Attrs().Priority)-words.before, words.match))
	}
	f.Advice = "filters of tc are lost with the link or at a boot; keep it with the program that made the other filter"
	return f
}

// A passFilter is a filter that lets packets pass, with its distance from the filter that takes them.
type passFilter struct {
	before int
	match  string
}

// passing are filters for the packets of a flow, and for ARP or neighbour discovery if the filter has such packets.
func passing(o linkFilter, p flow, q linkPacket) (out []passFilter) {
	neighbours := o.Type() == "matchall" && o.Attrs().Protocol == unix.ETH_P_ALL
	e, from := q.to, "dst"
	if q.from.IsValid() {
		e, from = q.from, "src"
	}
	words := []string{"protocol ip flower", "ip_proto " + strings.ToLower(string(p.protocol)),
		from + "_ip " + e.Addr().String()}
	if p.family == addr.IP6 {
		words[0] = "protocol ipv6 flower"
	}
	if e.Port() != 0 {
		words = append(words, fmt.Sprintf("%s_port %d", from, e.Port()))
	}
	match := strings.Join(words, " ")
	switch {
	case p.family == addr.IP6 && o.Type() == "matchall":
		return []passFilter{{2, match}, {2, "protocol ipv6 flower ip_proto icmpv6"}}
	case p.family == addr.IP6:
		return []passFilter{{2, match}}
	case neighbours:
		return []passFilter{{1, match}, {3, "protocol arp matchall"}}
	}
	return []passFilter{{1, match}}
}
