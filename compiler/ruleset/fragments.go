package ruleset

import (
	"net/netip"

	"farmc/compiler/farm"
)

// A datagram is the part of a datagram's destination that its later fragments have, too.
type datagram struct {
	protocol farm.Protocol
	to       netip.Addr
}

// agreeOnFragments keeps the value of a frontend for all datagrams that it takes. Frontends come most specific first.
// Where two frontends of one kind of datagram have different values, its later fragments get the value differing.
func agreeOnFragments[T comparable](of map[datagram]T, d frontend, value, differing T) {
	for _, protocol := range []farm.Protocol{farm.TCP, farm.UDP, farm.SCTP} {
		at := datagram{protocol, d.Address}
		switch before, known := of[at]; {
		case d.Protocol == protocol && !known:
			of[at] = value
		case (d.Protocol == protocol || d.Specificity == farm.WholeAddress) && known && before != value:
			of[at] = differing
		}
	}
}
