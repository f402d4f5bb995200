package preflight

import (
	"fmt"
	"slices"
	"strconv"

	"farmc/cmd/internal/shell"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// forwardingSysctl is the kernel parameter that lets a machine forward packets of the family.
var forwardingSysctl = [...]string{addr.IP4: "net/ipv4/ip_forward", addr.IP6: "net/ipv6/conf/all/forwarding"}

// linkSwitch is the kernel parameter that lets packets of the family pass that come in by an interface. For IPv6 the
// kernel has it since Linux 6.17, and needs it only if it does not forward for all.
var linkSwitch = [...]string{addr.IP4: "net/ipv4/conf/%s/forwarding", addr.IP6: "net/ipv6/conf/%s/force_forwarding"}

// forwarding finds a kernel that does not forward packets of the family, although farms need it. systemd-networkd lets
// single interfaces forward, and then the parameter for all stays 0.
func (s *search) forwarding(family addr.Family) {
	off := sysctl(forwardingSysctl[family]) == "0"
	if !off && family == addr.IP6 { // no link has a say then
		return
	}
	for _, f := range s.farms {
		if !s.forwards(f, family) {
			continue
		}
		links := s.passed(f, family)
		if off && !slices.ContainsFunc(links, func(name string) bool { return s.linkForwards(name, family) == "1" }) {
			s.found.add(s.notForwarding(family), f)
			continue
		}
		s.linkForwarding(f, family, links)
	}
}

// linkForwards is the parameter linkSwitch of an interface; "" if the kernel has none.
func (s *search) linkForwards(name string, family addr.Family) string {
	return s.linkSysctl(fmt.Sprintf(linkSwitch[family], name))
}

// notForwarding has the commands in an order in which the machine keeps its default route: the kernel deletes a default
// route of a router advertisement when it begins to forward, unless accept_ra is 2.
func (s *search) notForwarding(family addr.Family) Finding {
	f := Finding{Kind: "forwarding", Object: family.String(), Effect: Stops,
		Message: fmt.Sprintf("this machine does not forward %s, so no packet reaches a backend", family),
		Advice: "from then on this machine forwards packets between all its interfaces; " +
			"a file in /etc/sysctl.d keeps it"}
	if family == addr.IP6 {
		f.Commands = s.machine.acceptAdvertisements()
	}
	f.Commands = append(f.Commands, setSysctl(forwardingSysctl[family], "1"))
	return f
}

// acceptAdvertisements are the commands that keep default routes of router advertisements.
func (m *machine) acceptAdvertisements() (commands []string) {
	const byAdvertisement = 9 // RTPROT_RA
	for _, r := range m.defaults6 {
		path := "net/ipv6/conf/" + m.names[r.LinkIndex] + "/accept_ra"
		if command := setSysctl(path, "2"); r.Protocol == byAdvertisement && sysctl(path) == "1" &&
			!slices.Contains(commands, command) {
			commands = append(commands, command)
		}
	}
	return commands
}

// forwards reports whether a farm sends packets of the family on to another machine by way of the forward hook.
func (s *search) forwards(f *farm.Farm, family addr.Family) bool {
	atIngress := f.Mode == farm.DSR || f.Mode == farm.Stateless && len(f.Interfaces) > 0
	return !atIngress && f.Mode != farm.Local && servesOthers(f, family) &&
		slices.ContainsFunc(f.Backends, func(b farm.Backend) bool {
			return b.State == farm.Up && b.Address.Has(family) && s.machine.routes.to(b.Address[family]) != local
		})
}

// linkForwarding finds interfaces with forwarding turned off by a parameter of their own. Packets that come in by such
// an interface are not forwarded, neither from clients nor from backends.
func (s *search) linkForwarding(f *farm.Farm, family addr.Family, links []string) {
	for _, name := range links {
		if s.linkForwards(name, family) != "0" {
			continue
		}
		s.found.add(Finding{Kind: "link-forwarding", Object: name, Effect: Stops,
			Message:  fmt.Sprintf("interface %s does not forward the %s packets that come in there", name, family),
			Commands: []string{setSysctl(fmt.Sprintf(linkSwitch[family], name), "1")},
			Advice: "from then on this machine forwards packets from this interface; " +
				"a file in /etc/sysctl.d keeps it"}, f)
	}
}

// passed are the interfaces by which packets of clients and backends of a farm come in for sure.
func (s *search) passed(f *farm.Farm, family addr.Family) []string {
	names := s.uplinks(f, family)
	for i := range f.Backends {
		b := &f.Backends[i]
		if b.State != farm.Up || !b.Address.Has(family) {
			continue
		}
		name := s.machine.names[s.machine.routes.lookUp(b.Address[family]).link]
		if name != "" && name != "lo" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// uplinks are the interfaces of the farm; else the interfaces to routers and in the networks of its services.
func (s *search) uplinks(f *farm.Farm, family addr.Family) []string {
	if len(f.Interfaces) > 0 {
		return slices.Clone(f.Interfaces)
	}
	names := slices.Clone(s.machine.gateways)
	for _, l := range f.Listen {
		link := s.machine.connected(l.Address)
		if slices.Contains(l.Families, family) && link != "" && !slices.Contains(names, link) {
			names = append(names, link)
		}
	}
	return names
}

// linkSetting is the number of a kernel parameter of IPv4 for an interface: the greater one of the interface's own and
// that for all.
func (s *search) linkSetting(link, name string) int {
	own, _ := strconv.Atoi(s.linkSysctl("net/ipv4/conf/" + link + "/" + name))
	all, _ := strconv.Atoi(s.linkSysctl("net/ipv4/conf/all/" + name))
	return max(own, all)
}

// linkSysctl is sysctl for a path that many farms ask for.
func (s *search) linkSysctl(path string) string {
	if s.machine.sysctls == nil {
		s.machine.sysctls = map[string]string{}
	}
	value, ok := s.machine.sysctls[path]
	if !ok {
		value = sysctl(path)
		s.machine.sysctls[path] = value
	}
	return value
}

// linksWithoutIPv6 finds farms with IPv6 whose clients come by interfaces on which IPv6 is turned off alone.
func (s *search) linksWithoutIPv6() {
	for _, f := range s.farms {
		i := slices.IndexFunc(f.Frontends(), func(d farm.Frontend) bool { return d.Family == addr.IP6 })
		if i < 0 {
			continue
		}
		links := s.machine.clientLinks(f, f.Frontends()[i].Address)
		if slices.ContainsFunc(links, func(name string) bool { return s.withoutIPv6(name) == nil }) {
			continue
		}
		for _, name := range links {
			s.found.add(*s.withoutIPv6(name), f)
		}
	}
}

// minMTU is the smallest MTU with which the kernel has IPv6 on an interface (RFC 8200, section 5).
const minMTU = 1280

// withoutIPv6 is the finding about an interface without IPv6; nil if the interface has it.
func (s *search) withoutIPv6(name string) *Finding {
	f := &Finding{Kind: "link-ipv6", Object: name, Effect: Stops}
	const lost = "the kernel has removed the IPv6 addresses and routes of this interface, so have the network " +
		"configuration set them anew"
	l := s.machine.links[name]
	switch {
	case s.linkSysctl(ipv6Switch(name)) == "1":
		f.Message = fmt.Sprintf("IPv6 is disabled on %s (disable_ipv6=1): it takes no packets of clients", name)
		f.Commands = []string{setSysctl(ipv6Switch(name), "0")}
		f.Advice = "a file in /etc/sysctl.d keeps it; " + lost
	case l != nil && l.Attrs().MTU < minMTU:
		f.Message = fmt.Sprintf("%s has no IPv6, because its MTU is %d: it takes no packets of clients", name,
			l.Attrs().MTU)
		f.Commands = []string{fmt.Sprintf("ip link set dev %s mtu %d", shell.Quote(name), minMTU)}
		f.Advice = "until the next boot; " + lost
	default:
		return nil
	}
	return f
}

// ipv6Switch is the kernel parameter that turns IPv6 off on an interface.
func ipv6Switch(link string) string { return "net/ipv6/conf/" + link + "/disable_ipv6" }
