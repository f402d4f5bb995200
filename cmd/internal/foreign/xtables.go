package foreign

import (
	"encoding/binary"
	"net/netip"

	"farmc/cmd/internal/nfnetlink"

	"golang.org/x/sys/unix"
)

// xtMatches are the matches of iptables-nft that are decided. The layouts come from linux/netfilter/xt_*.h, in the
// machine's byte order.
var xtMatches = map[string]struct {
	match func(*step, []byte) truth
	reads fields
}{
	"comment":   {func(*step, []byte) truth { return yes }, 0},
	"conntrack": {(*step).xtConntrack, state | asked},
	"state":     {(*step).xtState, state},
	"tcp":       {func(s *step, info []byte) truth { return s.xtPorts(info, 11) }, ports},
	"udp":       {func(s *step, info []byte) truth { return s.xtPorts(info, 8) }, ports},
	"multiport": {(*step).xtMultiport, ports},
	"addrtype":  {(*step).xtAddressType, isLocal},
	"mark":      {(*step).xtMark, mark},
	"pkttype":   {(*step).xtPacketType, 0},
	"devgroup":  {(*step).xtGroup, in | out},
	"iprange":   {(*step).xtRange, source | destination},
	"connmark":  {(*step).xtConnectionMark, connectionMark | state},
}

// compileMatch makes a match of iptables-nft.
func compileMatch(a nfnetlink.Attributes) expression {
	m, ok := xtMatches[a.Text(unix.NFTA_MATCH_NAME)]
	if !ok {
		return constant(maybe, verdict{})
	}
	info := a[unix.NFTA_MATCH_INFO]
	return expression{compute: func(s *step) (truth, verdict) { return m.match(s, info), verdict{} }, reads: m.reads}
}

// xtConntrack computes --ctstate, --ctorigdst, --ctorigdstport and --ctdir (struct xt_conntrack_mtinfo3). Another
// condition is undecided.
func (s *step) xtConntrack(info []byte) truth {
	const destination, mask, port, flags, inverted, states, lastPort = 32, 48, 140, 146, 148, 150, 156
	if len(info) < 164 {
		return maybe
	}
	const state, toAddress, toPort, direction, calledState = 1, 1 << 3, 1 << 9, 1 << 12, 1 << 13 // XT_CONNTRACK_*
	used, inverts, result := hostOrder.Uint16(info[flags:]), hostOrder.Uint16(info[inverted:]), yes
	and := func(flag uint16, t truth) {
		if used&flag != 0 {
			result = min(result, t.inverted(inverts&flag != 0))
		}
	}
	and(state, s.stateIn(uint32(hostOrder.Uint16(info[states:]))))
	and(toAddress, s.askedFor(info[destination:mask], info[mask:mask+16]))
	and(toPort, s.askedAt(hostOrder.Uint16(info[port:]), hostOrder.Uint16(info[lastPort:])))
	and(direction, truthOf(!s.packet.Reply))
	if used&^(state|toAddress|toPort|direction|calledState) != 0 {
		result = min(result, maybe)
	}
	return result
}

// askedFor reports whether the connection was opened to an address of a network.
func (s *step) askedFor(network, mask []byte) truth {
	a := s.packet.asked().Addr()
	if !a.IsValid() {
		return maybe
	}
	for i, b := range a.AsSlice() {
		if (b^network[i])&mask[i] != 0 {
			return no
		}
	}
	return yes
}

// askedAt reports whether the connection was opened to a port of a range.
func (s *step) askedAt(first, last uint16) truth {
	port := s.packet.asked().Port()
	if port == 0 {
		return maybe
	}
	return truthOf(first <= port && port <= max(first, last))
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
	result := yes
	for i := range 2 {
		from, to := hostOrder.Uint16(info[4*i:]), hostOrder.Uint16(info[4*i+2:])
		if from == 0 && to == 0xffff {
			continue
		}
		in := s.portBetween(i, from, to)
		result = min(result, in.inverted(info[inverted]&(1<<i) != 0))
	}
	if inverted == 11 && (info[8] != 0 || info[9] != 0) {
		result = min(result, maybe)
	}
	return result
}

// portBetween reports whether a port of the packet is in a range: the source port (0) or the destination port (1).
func (s *step) portBetween(end int, from, to uint16) truth {
	return s.header(unix.NFT_PAYLOAD_TRANSPORT_HEADER).part(2*end, 2).between(
		binary.BigEndian.AppendUint16(nil, from), binary.BigEndian.AppendUint16(nil, to))
}

// xtMultiport computes --sports, --dports and --ports (struct xt_multiport_v1): up to 15 ports, of which some begin a
// range that the next one ends. The older struct has neither ranges nor inversion, and is undecided.
func (s *step) xtMultiport(info []byte) truth {
	const maxPorts, ports, ranges, inverted = 15, 2, 32, 47
	const ofSource, ofDestination = 0, 1
	if len(info) <= inverted || info[1] > maxPorts {
		return maybe
	}
	result := no
	for i := 0; i < int(info[1]); i++ {
		from := hostOrder.Uint16(info[ports+2*i:])
		to := from
		if info[ranges+i] != 0 && i+1 < maxPorts {
			i++
			to = hostOrder.Uint16(info[ports+2*i:])
		}
		if info[0] != ofDestination {
			result = max(result, s.portBetween(ofSource, from, to))
		}
		if info[0] != ofSource {
			result = max(result, s.portBetween(ofDestination, from, to))
		}
	}
	return result.inverted(info[inverted] != 0)
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

// xtPacketType computes the match pkttype (struct xt_pkttype_info).
func (s *step) xtPacketType(info []byte) truth {
	if len(info) < 8 {
		return maybe
	}
	kind := s.linkDestination().equals([]byte{byte(hostOrder.Uint32(info))})
	return kind.inverted(hostOrder.Uint32(info[4:]) != 0)
}

// xtGroup computes the match devgroup (struct xt_devgroup_info).
func (s *step) xtGroup(info []byte) truth {
	const matchIn, invertIn, matchOut, invertOut = 1, 2, 4, 8
	if len(info) < 20 {
		return maybe
	}
	flags, result := hostOrder.Uint32(info), yes
	for _, end := range []struct {
		link           string
		match, inverts uint32
		at             int // of the group and its mask
	}{{s.packet.In, matchIn, invertIn, 4}, {s.packet.Out, matchOut, invertOut, 12}} {
		if flags&end.match == 0 {
			continue
		}
		l, isKnown := s.ruleset.Links[end.link]
		group, mask := hostOrder.Uint32(info[end.at:]), hostOrder.Uint32(info[end.at+4:])
		has := truthOf((l.Group^group)&mask == 0)
		if !isKnown {
			has = maybe
		}
		result = min(result, has.inverted(flags&end.inverts != 0))
	}
	return result
}

// xtRange computes the match iprange (struct xt_iprange_mtinfo): two ranges of addresses, with 16 bytes for each one.
func (s *step) xtRange(info []byte) truth {
	const matchSource, matchDestination, invertSource, invertDestination = 1, 2, 1 << 4, 1 << 5
	if len(info) < 65 {
		return maybe
	}
	size := 4
	if s.packet.Family == unix.NFPROTO_IPV6 {
		size = 16
	}
	flags, result := info[64], yes
	for _, end := range []struct {
		a              netip.Addr
		match, inverts byte
		at             int
	}{
		{s.packet.Source, matchSource, invertSource, 0},
		{s.packet.Destination, matchDestination, invertDestination, 32},
	} {
		if flags&end.match == 0 {
			continue
		}
		v := unknown(size)
		if end.a.IsValid() {
			v = known(end.a.AsSlice())
		}
		in := v.between(info[end.at:end.at+size], info[end.at+16:end.at+16+size])
		result = min(result, in.inverted(flags&end.inverts != 0))
	}
	return result
}

var xtTargets = map[string]Kind{
	"REJECT": Drop, "DNAT": DestinationNAT, "REDIRECT": DestinationNAT, "SNAT": SourceNAT, "MASQUERADE": SourceNAT,
	"TPROXY": Proxy, "SYNPROXY": Proxy, "NOTRACK": Untrack, "DROP": Drop, "ACCEPT": Accept,
}

// compileTarget makes a target of iptables-nft. Targets that are not known change the packet and go on.
func compileTarget(a nfnetlink.Attributes) expression {
	switch name := a.Text(unix.NFTA_TARGET_NAME); name {
	case "NFQUEUE":
		return xtQueue(a[unix.NFTA_TARGET_INFO])
	case "CT":
		return constant(yes, xtTracking(a[unix.NFTA_TARGET_INFO]))
	case "MARK":
		return xtSetMark(a[unix.NFTA_TARGET_INFO])
	case "CONNMARK":
		return xtSetConnectionMark(a[unix.NFTA_TARGET_INFO], a.Number(unix.NFTA_TARGET_REV))
	case "HMARK", "mark": // mark is of ebtables
		return forgetsMarks()
	case "NETMAP":
		return expression{compute: func(s *step) (truth, verdict) {
			if s.hook == unix.NF_INET_PRE_ROUTING {
				return yes, verdict{kind: DestinationNAT}
			}
			return yes, verdict{kind: SourceNAT}
		}}
	default:
		return constant(yes, verdict{kind: xtTargets[name]})
	}
}

// xtTracking is the verdict of the target CT (struct xt_ct_target_info).
func xtTracking(info []byte) verdict {
	const untracked, ofOneDirection, byMark = 1, 1<<2 | 1<<3, 1 << 4
	if len(info) < 4 {
		return verdict{}
	}
	flags, zone := hostOrder.Uint16(info), hostOrder.Uint16(info[2:])
	switch {
	case flags&untracked != 0:
		return verdict{kind: Untrack}
	case flags&(ofOneDirection|byMark) != 0:
		return verdict{kind: Zone, zone: UnknownZone}
	case zone != 0:
		return verdict{kind: Zone, zone: int32(zone)}
	}
	return verdict{}
}
