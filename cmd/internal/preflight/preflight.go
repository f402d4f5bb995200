// Package preflight finds states of the machine that keep a correct farm from working: settings, rules of other
// programs, addresses, interfaces, backends and kernel modules.
//
// The package knows the farms, the kernel's routing table, its sysctls and modules, and the rules of other programs. It
// knows neither farmc's own rules, except for the priorities of their chains, nor the state directory. It changes
// nothing but the loaded kernel modules. No finding is a fault, because an administrator may have arranged the
// network in a way that farmc cannot see.
//
// Find (preflight.go) is the entry point. It returns values of Finding (finding.go). machine.go and routes.go read the
// machine once. chains.go follows the packets of packets.go through the rules of other programs, ingress.go and
// frames.go through those at ingress, of bridges and ARP. marks.go has the marks that the packets get on their way, and
// remedy.go writes the commands that let them pass.
// forwarding.go, addresses.go, localnetworks.go, loopback.go, interfaces.go, clientlink.go, returnpath.go,
// routingrules.go, arp.go, trafficcontrol.go, ipsec.go, neighbours.go, backends.go, ports.go, tunnels.go, modules.go,
// legacy.go, and losses.go with crowded.go are about one cause each.
// LoadTranslators (modules.go) is a second entry point, because modules must be loaded before the rules are. Changes
// (changes.go) reports that the machine may have changed.
package preflight

import (
	"context"
	"fmt"
	"net/netip"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// Find returns the faults of this machine that keep the farms from working now. A farm that is down has no findings. A
// question that the kernel does not answer yields no finding, except for the rules of other programs. Losses count
// after the sample since.
func Find(ctx context.Context, farms []*farm.Farm, since Losses) Findings {
	var up []*farm.Farm
	for _, f := range farms {
		if !f.Down {
			up = append(up, f)
		}
	}
	if len(up) == 0 {
		return nil
	}
	return find(&search{ctx: ctx, farms: up}, since)
}

// FindFor is Find for packets to one frontend: of a client, unless its address is zero, that come in by an interface,
// unless its name is empty.
func FindFor(ctx context.Context, d farm.Frontend, client netip.AddrPort, link string) Findings {
	if d.Farm.Down {
		return nil
	}
	return find(&search{ctx: ctx, farms: []*farm.Farm{d.Farm}, only: &onlyPackets{d, client, link}}, Losses{})
}

func find(s *search, since Losses) Findings {
	m := readMachine()
	defer m.routes.close()
	s.machine = m
	for _, family := range addr.Families {
		s.forwarding(family)
	}
	s.foreignRules()
	s.legacyTables()
	s.trafficControl()
	s.ipsecPolicies()
	s.routingRules()
	s.linksWithoutIPv6()
	s.silentLinks()
	s.addresses()
	s.sourceAddresses()
	s.localNetworks()
	s.loopback()
	s.backends()
	s.ports()
	s.tunnels()
	s.interfaces()
	s.clientLink()
	s.strictLinks()
	s.redirects()
	s.translators()
	s.timeouts()
	s.losses(since)
	s.found.all.Sort()
	return s.found.all
}

// A search collects the findings of a machine.
type search struct {
	ctx     context.Context
	machine *machine
	farms   []*farm.Farm // that are up
	only    *onlyPackets // nil: packets of all clients to all frontends
	found   collection
}

// onlyPackets are the packets that FindFor is about.
type onlyPackets struct {
	frontend farm.Frontend
	client   netip.AddrPort
	link     string
}

// foreignRules follows packets of the farms through the rules of other programs.
func (s *search) foreignRules() {
	if err := s.machine.readRules(s.ctx); err != nil {
		s.found.add(Finding{Kind: "unreadable", Object: "rules", Effect: Harms,
			Message: fmt.Sprintf("cannot check whether rules of other programs drop packets: %v", err)}, nil)
		return
	}
	if len(s.machine.rules.Chains) == 0 {
		return
	}
	for _, f := range s.farms {
		if s.machine.rules.Work > maxWork {
			return
		}
		for _, p := range s.packetsOf(f) {
			s.follow(p)
		}
	}
}

// maxWork is the number of foreign rules that are computed at most, again for each packet that they can tell from
// others; a packet counts as one. They take 0.2 s. It lets packets to the ten backends of 1000 farms pass 100 rules,
// fewer if rules match marks, which other rules set before.
// Rules that stop one farm usually stop others.
const maxWork = 1000000
