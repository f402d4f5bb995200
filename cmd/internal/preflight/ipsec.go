package preflight

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ipsecPolicies finds policies of IPsec (ip xfrm policy) that block the packets of a farm. A policy that encrypts
// blocks nothing by itself: backends may be behind the tunnel.
func (s *search) ipsecPolicies() {
	for _, family := range addr.Families {
		policies, _ := policiesOf(family)
		if !slices.ContainsFunc(policies, func(o policy) bool { return o.blocks }) {
			continue
		}
		for _, f := range s.farms {
			for _, p := range s.packetsOf(f) {
				if p.family == family {
					s.blocked(p, policies)
				}
			}
		}
	}
}

// A policy is a policy of IPsec. The library's reader takes fd00:2:: for an address of IPv4.
type policy struct {
	from, to         netip.Prefix
	fromPort, toPort uint16 // 0: every port
	protocol         uint8  // 0: every protocol
	dir              netlink.Dir
	priority         uint32
	blocks           bool
	ofOthers         bool // of packets with a mark or of an interface
}

// policiesOf are the policies for packets of the family, in the order in which the kernel asks them. Without the module
// xfrm_user the kernel has none, and refuses the question with EPROTONOSUPPORT.
func policiesOf(family addr.Family) (policies []policy, err error) {
	kernel := netlink.FAMILY_V4
	if family == addr.IP6 {
		kernel = netlink.FAMILY_V6
	}
	r := nl.NewNetlinkRequest(nl.XFRM_MSG_GETPOLICY, unix.NLM_F_DUMP)
	r.AddData(nl.NewIfInfomsg(kernel))
	messages, err := r.Execute(unix.NETLINK_XFRM, nl.XFRM_MSG_NEWPOLICY)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, nil
	}
	for _, m := range messages {
		if p, ok := readPolicy(m, uint16(kernel)); ok {
			policies = append(policies, p)
		}
	}
	slices.SortStableFunc(policies, func(a, b policy) int { return cmp.Compare(a.priority, b.priority) })
	return policies, err
}

// readPolicy reads a message of the kernel, if it is about a policy of the family.
func readPolicy(m []byte, family uint16) (policy, bool) {
	if len(m) < nl.SizeofXfrmUserpolicyInfo {
		return policy{}, false
	}
	o := nl.DeserializeXfrmUserpolicyInfo(m)
	p := policy{from: selected(o.Sel.Saddr, o.Sel.PrefixlenS, family),
		to:       selected(o.Sel.Daddr, o.Sel.PrefixlenD, family),
		fromPort: nl.Swap16(o.Sel.Sport), toPort: nl.Swap16(o.Sel.Dport), protocol: o.Sel.Proto,
		dir: netlink.Dir(o.Dir), priority: o.Priority, blocks: o.Action == uint8(netlink.XFRM_POLICY_BLOCK),
		ofOthers: o.Sel.Ifindex != 0}
	attributes, err := nl.ParseRouteAttr(m[nl.SizeofXfrmUserpolicyInfo:])
	for _, a := range attributes {
		p.ofOthers = p.ofOthers || a.Attr.Type == nl.XFRMA_MARK || a.Attr.Type == nl.XFRMA_IF_ID
	}
	return p, err == nil && o.Sel.Family == family
}

func selected(a nl.XfrmAddress, bits uint8, family uint16) netip.Prefix {
	if family == unix.AF_INET6 {
		return netip.PrefixFrom(netip.AddrFrom16(a), int(bits))
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte(a[:4])), int(bits))
}

// An endpoint is an address and port of packets. The zero value is a client.
type endpoint = netip.AddrPort

// A transfer is packets that the kernel asks the policies of a direction about.
type transfer struct {
	dir      netlink.Dir
	from, to endpoint
}

// blocked follows the packets of a flow through the policies.
func (s *search) blocked(p flow, policies []policy) {
	if p.farm.Mode != farm.DSR && (p.local || !p.atIngress()) {
		s.blockedBy(policies, p, p.requestTransfers())
	}
	if p.answersPass() {
		s.blockedBy(policies, p, s.answerTransfers(p))
	}
}

// requestTransfers are the packets to a backend. In the directions in and fwd the kernel asks about translated packets
// as they came in; in the direction out as they leave.
func (p flow) requestTransfers() []transfer {
	var client endpoint
	came := p.delivered()
	if p.translated() || p.farm.Mode == farm.Local {
		came = p.requested()
	}
	switch {
	case p.local:
		return []transfer{{netlink.XFRM_DIR_IN, client, came}}
	case p.loopback:
		return []transfer{{netlink.XFRM_DIR_OUT, client, p.delivered()}}
	}
	return []transfer{{netlink.XFRM_DIR_FWD, client, came}, {netlink.XFRM_DIR_OUT, client, p.delivered()}}
}

// answerTransfers are the answers of a backend, likewise.
func (s *search) answerTransfers(p flow) []transfer {
	var client endpoint
	leaves := transfer{netlink.XFRM_DIR_OUT, p.requested(), client}
	if p.local {
		return []transfer{leaves}
	}
	if p.loopback {
		return []transfer{{netlink.XFRM_DIR_IN, p.delivered(), s.sourceFor(p)}}
	}
	receiver := client
	if p.farm.Mode == farm.SNAT {
		receiver = s.sourceFor(p)
	}
	return []transfer{{netlink.XFRM_DIR_FWD, p.delivered(), receiver},
		{netlink.XFRM_DIR_OUT, p.delivered(), client}, leaves}
}

// sourceFor is the address from which this machine sends the packets of a flow; zero if it has no route.
func (s *search) sourceFor(p flow) endpoint {
	r, err := s.machine.routes.kernel.Get(p.backend.Address[p.family])
	if err != nil {
		return endpoint{}
	}
	source, _ := netip.AddrFromSlice(r.Src)
	return netip.AddrPortFrom(source.Unmap(), 0)
}

// blockedBy adds a finding if the first policy for one of the transfers blocks it.
func (s *search) blockedBy(policies []policy, p flow, transfers []transfer) {
	for _, t := range transfers {
		i := slices.IndexFunc(policies, func(o policy) bool {
			return o.dir == t.dir && !o.ofOthers && (o.protocol == 0 || int(o.protocol) == p.protocol.Number()) &&
				covers(o.from, o.fromPort, t.from) && covers(o.to, o.toPort, t.to)
		})
		if i >= 0 && policies[i].blocks {
			s.found.add(policyFinding(policies[i], p, t), p.farm)
		}
	}
}

// covers reports whether a network and a port, or every port if it is 0, have all packets of an endpoint.
func covers(network netip.Prefix, port uint16, e endpoint) bool {
	return (port == 0 || port == e.Port()) &&
		(network.Bits() <= 0 || e.Addr().IsValid() && network.Contains(e.Addr()))
}

// policyFinding is the finding about a policy. The policy that lets the packets pass is asked before it.
func policyFinding(o policy, p flow, t transfer) Finding {
	packets := "the packets to " + t.to.String()
	if t.from.IsValid() {
		packets = "the answers from " + t.from.String()
	}
	dir := strings.TrimPrefix(o.dir.String(), "dir ")
	f := Finding{Kind: "ipsec", Object: fmt.Sprintf("%s %d", dir, o.priority), Effect: p.effect(),
		Message: fmt.Sprintf("a policy of IPsec (ip xfrm policy, dir %s, priority %d) blocks %s", dir, o.priority,
			packets)}
	if o.priority == 0 {
		f.Advice = "change the policy with the program that made it: no policy is asked before one of priority 0"
		return f
	}
	f.Commands = []string{fmt.Sprintf("ip xfrm policy add src %s dst %s%s dir %s priority %d",
		selector(t.from, p.family), selector(t.to, p.family), t.ports(p), dir, o.priority-1)}
	f.Advice = "these packets then pass without encryption; " +
		"keep it in the configuration of the program that made the other policy"
	return f
}

// ports are the protocol and the port of the service or backend in the words of ip. The kernel takes no policy with the
// selector of another one.
func (t transfer) ports(p flow) string {
	words := ""
	if p.protocol != "" {
		words = " proto " + strings.ToLower(string(p.protocol))
	}
	if port := t.from.Port(); port != 0 {
		words += fmt.Sprintf(" sport %d", port)
	} else if port := t.to.Port(); port != 0 {
		words += fmt.Sprintf(" dport %d", port)
	}
	return words
}

// selector is an endpoint in the words of ip.
func selector(e endpoint, family addr.Family) string {
	switch {
	case e.Addr().IsValid():
		return netip.PrefixFrom(e.Addr(), e.Addr().BitLen()).String()
	case family == addr.IP6:
		return "::/0"
	}
	return "0.0.0.0/0"
}
