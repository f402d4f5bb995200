package ruleset

import (
	"net/netip"

	"farmc/compiler/farm"
)

// A datagram is the part of a datagram's destination that its later fragments have, too.
type datagram struct {
	protocol farm.Protocol
	to       netip.Prefix
}

// datagram gives the datagrams of the frontend.
func (d frontend) datagram() datagram { return datagram{d.Protocol, d.Network()} }

// agreeOnFragments keeps the value of a frontend for all datagrams that it takes. Frontends come most specific first.
// Where two frontends of one kind of datagram have different values, its later fragments get the value differing. A
// network has the value differing if another farm listens on a part of it, and so have parts of it with other values.
func agreeOnFragments[T comparable](of map[datagram]T, d frontend, value, differing T) {
	for _, protocol := range []farm.Protocol{farm.TCP, farm.UDP, farm.SCTP} {
		at := datagram{protocol, d.Network()}
		switch before, known := of[at]; {
		case d.Protocol == protocol && !known:
			of[at] = value
		case (d.Protocol == protocol || d.Whole()) && known && before != value:
			of[at] = differing
		}
	}
	if d.Specificity.Bits() > 0 {
		differInside(of, d, value, differing)
	}
}

// differInside is agreeOnFragments for the datagrams to parts of a network.
func differInside[T comparable](of map[datagram]T, d frontend, value, differing T) {
	for at, before := range of {
		inside := at.to != d.Network() && d.Has(at.to.Addr()) && at.to.Bits() >= d.Network().Bits()
		if inside && (d.Whole() || d.Protocol == at.protocol) && before != value {
			of[at] = differing
		}
	}
}
