package foreign

import (
	"encoding/binary"

	"farmc/cmd/internal/nfnetlink"

	"golang.org/x/sys/unix"
)

// xtMatch computes a match of iptables-nft. The layouts come from linux/netfilter/xt_*.h, in the machine's byte
// order.
func (s *step) xtMatch(a nfnetlink.Attributes) (truth, verdict) {
	info := a[unix.NFTA_MATCH_INFO]
	result := maybe
	switch a.Text(unix.NFTA_MATCH_NAME) {
	case "comment":
		result = yes
	case "conntrack":
		result = s.xtConntrack(info)
	case "state":
		result = s.xtState(info)
	case "tcp":
		result = s.xtPorts(info, 11)
	case "udp":
		result = s.xtPorts(info, 8)
	case "addrtype":
		result = s.xtAddressType(info)
	}
	return result, verdict{}
}

// xtConntrack computes --ctstate (struct xt_conntrack_mtinfo3). Another condition is undecided.
func (s *step) xtConntrack(info []byte) truth {
	const flags, inverted, states = 146, 148, 150
	if len(info) < 154 {
		return maybe
	}
	const state = 1
	used := hostOrder.Uint16(info[flags:])
	result := s.stateIn(uint32(hostOrder.Uint16(info[states:]))).inverted(hostOrder.Uint16(info[inverted:])&state != 0)
	if used&state == 0 {
		result = yes
	}
	if used&^state != 0 && result == yes {
		result = maybe
	}
	return result
}

// stateIn reports whether the packet has one of the states of iptables. The bits are those of ct state, except for
// translated and untracked packets.
func (s *step) stateIn(states uint32) truth {
	const destinationNAT, untracked = 1 << 7, 1 << 8
	p := s.packet
	if p.State == Untracked {
		return truthOf(states&untracked != 0)
	}
	return truthOf(states&uint32(p.State) != 0 || p.Translated && states&destinationNAT != 0)
}

// xtState computes the old match state.
func (s *step) xtState(info []byte) truth {
	if len(info) < 4 {
		return maybe
	}
	const untracked = 1 << 6
	states := hostOrder.Uint32(info)
	if s.packet.State == Untracked {
		return truthOf(states&untracked != 0)
	}
	return truthOf(states&uint32(s.packet.State) != 0)
}

// xtPorts computes --sport and --dport of the matches tcp and udp: two ranges, and bits that invert them. Options of
// TCP are undecided.
func (s *step) xtPorts(info []byte, inverted int) truth {
	if len(info) <= inverted {
		return maybe
	}
	header := s.packet.transport()
	result := yes
	for i := range 2 {
		from := binary.BigEndian.AppendUint16(nil, hostOrder.Uint16(info[4*i:]))
		to := binary.BigEndian.AppendUint16(nil, hostOrder.Uint16(info[4*i+2:]))
		whole := from[0] == 0 && from[1] == 0 && to[0] == 0xff && to[1] == 0xff
		if whole {
			continue
		}
		in := header.part(2*i, 2).between(from, to)
		result = min(result, in.inverted(info[inverted]&(1<<i) != 0))
	}
	if inverted == 11 && (info[8] != 0 || info[9] != 0) {
		result = min(result, maybe)
	}
	return result
}

// xtAddressType computes --dst-type of the match addrtype (struct xt_addrtype_info_v1).
func (s *step) xtAddressType(info []byte) truth {
	const invert, limits = 2, 12
	if len(info) < 8 {
		return maybe
	}
	source, destination, flags := hostOrder.Uint16(info), hostOrder.Uint16(info[2:]), hostOrder.Uint32(info[4:])
	if source != 0 || flags&limits != 0 {
		return maybe
	}
	kind := uint16(1 << unix.RTN_UNICAST)
	if s.packet.DestinationLocal {
		kind = 1 << unix.RTN_LOCAL
	}
	return truthOf(destination&kind != 0).inverted(flags&invert != 0)
}

// xtTarget returns the verdict of a target of iptables-nft. Other targets change the packet and go on.
func (s *step) xtTarget(a nfnetlink.Attributes) (truth, verdict) {
	kinds := map[string]Kind{
		"REJECT": Drop, "DNAT": DestinationNAT, "REDIRECT": DestinationNAT, "SNAT": SourceNAT, "MASQUERADE": SourceNAT,
		"TPROXY": Proxy, "SYNPROXY": Proxy, "NFQUEUE": Queue, "NOTRACK": Untrack, "DROP": Drop, "ACCEPT": Accept,
	}
	name, info := a.Text(unix.NFTA_TARGET_NAME), a[unix.NFTA_TARGET_INFO]
	if name == "CT" && len(info) >= 2 && hostOrder.Uint16(info)&1 != 0 { // XT_CT_NOTRACK
		return yes, verdict{kind: Untrack}
	}
	if name == "NETMAP" && s.hook == unix.NF_INET_PRE_ROUTING {
		return yes, verdict{kind: DestinationNAT}
	}
	if name == "NETMAP" {
		return yes, verdict{kind: SourceNAT}
	}
	return yes, verdict{kind: kinds[name]}
}
