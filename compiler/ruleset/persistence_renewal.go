package ruleset

import (
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// In modes snat and dnat the chain that picks a backend sees the first packet of a connection alone. Where each packet
// renews its client, chains in front of it see all packets.

// The base chains that renew clients: of packets from outside, and of packets that this machine sends.
var (
	renewalHook = baseChain{
		name: "renewal", section: renewalSection, prefix: "renewal-", any: "renewal-any",
	}
	renewalLocalHook = baseChain{
		name: "renewal-output", section: renewalSection, prefix: "renewal-remote-", any: "renewal-local-any",
	}
)

// A stickyRenewal is a farm's chain that renews the clients of one family.
type stickyRenewal struct {
	*stickyLookup
	Only   []string // the interfaces that the farm's packets come in by; none: all
	Origin *diag.Origin
}

// renewClients leads the packets of open connections to the chain that renews their client.
func (l *linker) renewClients(tracked []frontend) {
	l.dispatchBoth(renewalHook, renewalLocalHook, tracked, func(d frontend) verdict {
		if p := d.farm.Persistence; p == nil || p.Renew != farm.RenewByPacket || len(l.assignment(d).eligible) == 0 {
			return noVerdict
		}
		return goTo(l.stickyRenewal(d))
	})
}

func (l *linker) stickyRenewal(d frontend) string {
	s := d.farm
	o := newChain(s.ownName("renewal-"+d.Family.Suffix()), renewalSection, "sticky-renewal")
	obtain(&l.rules, o, func() *stickyRenewal {
		return &stickyRenewal{l.sticky(d, l.assignment(d), ""), l.only(s.Interfaces), s.Origin("persistence.renew")}
	})
	return o.Name
}
