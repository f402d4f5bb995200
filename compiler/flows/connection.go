package flows

import (
	"net/netip"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// A Connection has the fields of a conntrack entry that tell its farm and backend.
type Connection struct {
	Protocol   int            // its number (IANA, assigned internet protocol numbers)
	To         netip.AddrPort // the original destination; port 0 where the protocol has none
	Server     netip.AddrPort // the source of replies
	Translated bool           // its destination was translated
	Zone       int            // of its requests
	Answered   bool           // the server has sent a packet
}

// ends reports whether the protocol has connections, which come to an end.
func (of Connection) ends() bool {
	return of.Protocol == farm.TCP.Number() || of.Protocol == farm.SCTP.Number()
}

// answeredBy reports whether the backend is the connection's server.
func (of Connection) answeredBy(b farm.Backend) bool {
	return b.Address[addr.FamilyOf(of.Server.Addr())] == of.Server.Addr() &&
		of.Server.Port() == b.PortFor(of.To.Port())
}

// openedTo reports whether the connection came in by the frontend. Its original destination is an address of the
// frontend.
func (of Connection) openedTo(d farm.Frontend) bool {
	return (d.Farm.Zone == 0 || d.Farm.Zone == of.Zone) &&
		d.Takes(of.To.Addr(), true, farm.ProtocolOf(of.Protocol), of.To.Port())
}

// A frontendIndex has frontends by their address or network.
type frontendIndex struct {
	networks     addr.NetworkTable[[]farm.Frontend]
	everyAddress []farm.Frontend // of this machine
}

// empty reports whether there is no frontend.
func (p *frontendIndex) empty() bool { return len(p.everyAddress) == 0 && p.networks.Empty() }

func (p *frontendIndex) add(f *farm.Farm) {
	for _, d := range trackedFrontends(f) {
		at := &p.everyAddress
		if d.Address.IsValid() {
			at = p.networks.At(d.Network())
		}
		*at = append(*at, d)
	}
}

// trackedFrontends gives the frontends of a farm that tracks and translates connections. A farm in another mode, a farm
// that is down, and nil have none.
func trackedFrontends(f *farm.Farm) []farm.Frontend {
	if f == nil || f.Down || !f.Tracked() {
		return nil
	}
	return f.Frontends()
}

// trackedBackends gives the backends of a farm that tracks and translates connections.
func trackedBackends(f *farm.Farm) []farm.Backend {
	if len(trackedFrontends(f)) == 0 {
		return nil
	}
	return f.Backends
}

// frontend gives the most specific frontend that the connection was opened to; nil if there is none.
func (p *frontendIndex) frontend(of Connection) *farm.Frontend {
	for all := range p.networks.Holding(of.To.Addr()) {
		if found := of.mostSpecific(*all); found != nil {
			return found
		}
	}
	return of.mostSpecific(p.everyAddress)
}

// mostSpecific gives the most specific of the frontends that the connection was opened to; nil if there is none.
func (of Connection) mostSpecific(all []farm.Frontend) (found *farm.Frontend) {
	for i := range all {
		if of.openedTo(all[i]) && (found == nil || all[i].Specificity < found.Specificity) {
			found = &all[i]
		}
	}
	return found
}

// backendOf gives the backend that answers a connection to the frontend; nil if none of the farm's backends does.
func backendOf(d *farm.Frontend, of Connection) *farm.Backend {
	if d == nil || !of.Translated {
		return nil
	}
	if i := slices.IndexFunc(d.Farm.Backends, of.answeredBy); i >= 0 {
		return &d.Farm.Backends[i]
	}
	return nil
}
