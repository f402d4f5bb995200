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

// agreeOnFragments notes what happens to the first fragments of datagrams to a frontend. Frontends come most specific
// first; where they differ for one kind of datagram, later fragments get the value for differing ones.
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
