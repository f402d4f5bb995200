package preflight

import (
	"fmt"
	"slices"

	"farmc/cmd/internal/shell"
	"farmc/compiler/addr"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// silentLinks finds interfaces of farms on which this machine neither asks for other machines nor answers them: with
// ARP and neighbour discovery turned off (ip link set arp off), or with arp_ignore=8.
func (s *search) silentLinks() {
	if !s.hasSilentLink() { // the links of 10,000 farms would take a tenth of the time of farmc status
		return
	}
	for _, f := range s.farms {
		for _, family := range addr.Families {
			if !f.Listens(family) {
				continue
			}
			uplinks := s.uplinks(f, family)
			for _, name := range s.passed(f, family) {
				effect := Stops
				ofClients := slices.Contains(uplinks, name)
				if ofClients && len(uplinks) > 1 {
					effect = Harms
				}
				if found := s.silentLink(family, name, ofClients); found != nil {
					found.Effect = effect
					s.found.add(*found, f)
				}
			}
		}
	}
}

func (s *search) hasSilentLink() bool {
	for name := range s.machine.links {
		if s.silentLink(addr.IP4, name, true) != nil {
			return true
		}
	}
	return false
}

// silentLink is the finding about an interface of clients or backends; nil if there is none.
func (s *search) silentLink(family addr.Family, name string, ofClients bool) *Finding {
	const toNobody = 8 // of arp_ignore
	l := s.machine.links[name]
	switch {
	case l == nil:
	case asksNobody(l):
		return &Finding{Kind: "silent-link", Object: name,
			Message: fmt.Sprintf("ARP is turned off on %s (NOARP), so this machine and others on the link do not "+
				"find each other", name),
			Commands: []string{"ip link set dev " + shell.Quote(name) + " arp on"},
			Advice:   "the network configuration keeps it"}
	case family == addr.IP4 && ofClients && s.linkSetting(name, "arp_ignore") == toNobody:
		return s.answersNobody(name, toNobody)
	}
	return nil
}

// asksNobody reports whether an Ethernet interface has ARP turned off, and has no permanent neighbours either.
// Interfaces without neighbours, such as tunnels, never ask.
func asksNobody(l netlink.Link) bool {
	if !slices.Contains([]string{"device", "veth", "bridge", "bond", "vlan", "macvlan"}, l.Type()) ||
		l.Attrs().EncapType != "ether" || l.Attrs().RawFlags&unix.IFF_NOARP == 0 {
		return false
	}
	known, _ := netlink.NeighList(l.Attrs().Index, 0)
	return !slices.ContainsFunc(known, func(n netlink.Neigh) bool { return n.State == netlink.NUD_PERMANENT })
}

// answersNobody has a command for each parameter that is set, because the kernel takes the greater one.
func (s *search) answersNobody(name string, value int) *Finding {
	f := &Finding{Kind: "silent-link", Object: name,
		Message: fmt.Sprintf("this machine answers no ARP requests on %s (arp_ignore=%d)", name, value),
		Advice:  "from then on the interface answers for its own addresses; a file in /etc/sysctl.d keeps it"}
	for _, part := range []string{"all", name} {
		if path := "net/ipv4/conf/" + part + "/arp_ignore"; s.linkSysctl(path) == fmt.Sprint(value) {
			f.Commands = append(f.Commands, setSysctl(path, "1"))
		}
	}
	return f
}
