package preflight

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"farmc/cmd/internal/foreign"
	"farmc/cmd/internal/shell"
	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"golang.org/x/sys/unix"
)

// A match tells packets of a farm from others, for a rule of another program.
type match struct {
	state     string // dnat or untracked; "": any
	arp       bool   // packets of ARP with the address
	discovery bool   // neighbour discovery of IPv6
	source    bool   // address and port belong to the source
	family    addr.Family
	address   netip.Addr   // destination; not valid: any
	network   netip.Prefix // with the address; not valid: the address alone
	protocol  farm.Protocol
	port      uint16 // 0: any
}

// handedOn matches packets that farmc hands on, and their answers.
func handedOn(p flow) match {
	switch {
	case p.servedHere():
		return addressed(p)
	case p.tracked():
		return match{state: "dnat"}
	}
	return match{state: "untracked"}
}

// addressed matches packets to the service of a flow.
func addressed(p flow) match {
	m := match{family: p.family, address: p.service, protocol: p.protocol, port: p.servicePort}
	if p.wildcard {
		m.address = netip.Addr{}
	} else if !p.network.IsSingleIP() {
		m.network = p.network
	}
	return m
}

// sentTo matches packets to the backend of a flow.
func sentTo(p flow) match {
	return match{family: p.family, address: p.backend.Address[p.family], protocol: p.protocol, port: p.backendPort}
}

// answered matches answers of the backend of a flow.
func answered(p flow) match {
	m := sentTo(p)
	if p.servedHere() {
		m = addressed(p)
	}
	m.source = true
	return m
}

// where is the address or network in the words of all tools.
func (m match) where() string {
	if m.network.IsValid() {
		return m.network.String()
	}
	return m.address.String()
}

// nft writes the match for nft.
func (m match) nft() string {
	switch {
	case m.discovery:
		return "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }"
	case m.state == "dnat":
		return "ct status dnat"
	case m.state != "":
		return "ct state " + m.state
	}
	end := "d"
	if m.source {
		end = "s"
	}
	if m.arp {
		return fmt.Sprintf("arp %saddr ip %s", end, m.address)
	}
	words := ""
	if m.address.IsValid() {
		words = fmt.Sprintf("%s %saddr %s", map[addr.Family]string{addr.IP4: "ip", addr.IP6: "ip6"}[m.family], end,
			m.where())
	}
	if m.port != 0 {
		words += fmt.Sprintf(" %s %sport %d", m.protocol, end, m.port)
	}
	return strings.TrimPrefix(words, " ")
}

// iptables writes the match for iptables.
func (m match) iptables() string {
	if m.discovery {
		return "-p icmpv6"
	}
	if m.state != "" {
		return "-m conntrack --ctstate " + strings.ToUpper(m.state)
	}
	end := "d"
	if m.source {
		end = "s"
	}
	words := ""
	if m.address.IsValid() {
		words = fmt.Sprintf("-%s %s", end, m.where())
	}
	if m.port != 0 {
		words += fmt.Sprintf(" -p %s --%sport %d", m.protocol, end, m.port)
	}
	return strings.TrimPrefix(words, " ")
}

// ebtables writes the match for ebtables.
func (m match) ebtables() string {
	if m.discovery {
		return "-p IPv6 --ip6-proto ipv6-icmp"
	}
	protocol, option := "IPv4", "--ip-"
	if m.family == addr.IP6 {
		protocol, option = "IPv6", "--ip6-"
	}
	end := "dst"
	if m.source {
		end = "src"
	}
	if !m.address.IsValid() {
		return "-p " + protocol
	}
	return fmt.Sprintf("-p %s %s%s %s", protocol, option, end, m.where())
}

// let sets the remedy that lets packets pass a chain. It uses the tool that owns the rules.
func (m *machine) let(f *Finding, c *foreign.Chain, p flow, pass match) {
	forwards := c.Hook == unix.NF_INET_FORWARD
	switch {
	case isIptables(c) && forwards && m.rules.Has(c, "DOCKER-USER"):
		f.Commands = []string{iptables(c) + " -I DOCKER-USER " + pass.iptables() + " -j ACCEPT"}
		f.Advice = "Docker keeps the rules of DOCKER-USER until the next boot"
	case isIptables(c) && forwards && m.rules.Has(c, ufwChain(c)):
		f.Commands = ufwRoutes(p)
		f.Advice = "ufw keeps the rules"
	case isIptables(c) && c.Hook == unix.NF_INET_LOCAL_IN && !pass.discovery && m.rules.Has(c, ufwChain(c)):
		f.Commands = []string{ufwAllow(p)}
		f.Advice = "ufw keeps the rule"
	case isIptables(c) && c.Family == unix.NFPROTO_BRIDGE:
		f.Commands = []string{fmt.Sprintf("ebtables -t %s -I %s %s -j ACCEPT", c.Table, c.Name, pass.ebtables())}
		f.Advice = "until the next boot"
	case isIptables(c):
		f.Commands = []string{fmt.Sprintf("%s -t %s -I %s %s -j ACCEPT", iptables(c), shell.Quote(c.Table),
			shell.Quote(c.Name), pass.iptables())}
		f.Advice = "until the next boot; iptables-save or the program that loads the rules keeps them"
	case c.Table == "firewalld" && forwards:
		f.Commands = firewalldRules(p)
		f.Advice = "firewalld keeps the rules, and loads its rules again"
	case c.Table == "firewalld" && c.Hook == unix.NF_INET_LOCAL_IN && !pass.discovery && p.servicePort != 0:
		port := fmt.Sprintf("firewall-cmd --permanent --add-port=%d/%s", p.servicePort, p.protocol)
		f.Commands = []string{port, "firewall-cmd --reload"}
		f.Advice = "for the default zone; --zone names another one; firewalld keeps the rule, and loads its rules again"
	case c.Owned:
		f.Advice = "only the program that owns table " + c.Table + " can let them pass: accept " + pass.nft()
	case !simpleName.MatchString(c.Table) || !simpleName.MatchString(c.Name):
		f.Advice = "accept " + pass.nft() + " at the head of the chain"
	default:
		rule := fmt.Sprintf("%s %s %s %s accept", familyNames[c.Family], c.Table, c.Name, pass.nft())
		if pass.discovery { // braces are the shell's, too
			rule = shell.Quote(rule)
		}
		f.Commands = []string{"nft insert rule " + rule}
		f.Advice = keeps(c)
	}
	if pass.state == "dnat" && len(f.Commands) > 0 && (strings.Contains(f.Commands[0], pass.nft()) ||
		strings.Contains(f.Commands[0], pass.iptables())) {
		f.Advice = "lets all packets with a translated destination pass; " + f.Advice
	}
}

// keeps tells how long a rule stays in the table of a program, and how to keep it.
func keeps(c *foreign.Chain) string {
	switch c.Table {
	case "libvirt_network":
		return "until libvirtd starts again; a script in /etc/libvirt/hooks/network keeps the rule"
	case "docker-bridges":
		return "until dockerd starts again; instead of the rule, Docker lets packets with a mark pass " +
			"(dockerd --bridge-accept-fwmark), which a chain of your own sets before"
	}
	return "until the table is loaded again; the file that loads it keeps the rule"
}

// simpleName matches names that neither nft nor a shell has to quote.
var simpleName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

var familyNames = map[uint8]string{
	unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6", unix.NFPROTO_NETDEV: "netdev",
	unix.NFPROTO_BRIDGE: "bridge", unix.NFPROTO_ARP: "arp",
}

func describe(c *foreign.Chain, r foreign.Result) string {
	words := fmt.Sprintf("chain %s of table %s %s", c.Name, familyNames[c.Family], c.Table)
	if r.Chain != "" && r.Chain != c.Name {
		words += ", by its chain " + r.Chain + ","
	}
	return words
}

func chainName(c *foreign.Chain) string { return familyNames[c.Family] + " " + c.Table + " " + c.Name }

// isIptables reports whether a base chain is one of iptables-nft, by the names that only iptables gives.
func isIptables(c *foreign.Chain) bool {
	const tables, chains = " filter nat mangle raw security ", " PREROUTING INPUT FORWARD OUTPUT POSTROUTING "
	return c.Family != unix.NFPROTO_INET && c.Family != unix.NFPROTO_NETDEV &&
		strings.Contains(tables, " "+c.Table+" ") && strings.Contains(chains, " "+c.Name+" ")
}

func iptables(c *foreign.Chain) string {
	switch c.Family {
	case unix.NFPROTO_IPV6:
		return "ip6tables"
	case unix.NFPROTO_ARP:
		return "arptables"
	}
	return "iptables"
}

func ufwChain(c *foreign.Chain) string {
	if c.Family == unix.NFPROTO_IPV6 {
		return "ufw6-before-forward"
	}
	return "ufw-before-forward"
}

// ufwAllow lets packets to the service pass, and to a backend on this machine.
func ufwAllow(p flow) string {
	a, port := p.service, p.servicePort
	if !p.servedHere() {
		a, port = p.backend.Address[p.family], p.backendPort
	}
	to := a.String()
	switch {
	case p.servedHere() && p.wildcard:
		to = "any"
	case p.servedHere() && !p.network.IsSingleIP():
		to = p.network.String()
	}
	if port != 0 {
		to += fmt.Sprintf(" port %d", port)
	}
	return fmt.Sprintf("ufw allow proto %s to %s", p.protocol, to)
}

// ufwRoutes lets packets to all backends pass, and in mode stateless the answers, which ufw takes for new packets.
func ufwRoutes(p flow) (commands []string) {
	for _, b := range p.farm.Backends {
		if b.State == farm.Down || !b.Address.Has(p.family) {
			continue
		}
		port := ""
		if n := p.portOf(b); n != 0 {
			port = fmt.Sprintf(" port %d", n)
		}
		to := fmt.Sprintf("%s%s", b.Address[p.family], port)
		commands = append(commands, fmt.Sprintf("ufw route allow proto %s to %s", p.protocol, to))
		if !p.tracked() {
			commands = append(commands, fmt.Sprintf("ufw route allow proto %s from %s", p.protocol, to))
		}
	}
	return commands[:min(len(commands), maxCommands)]
}

// portOf is the port of a backend for the frontend of the flow.
func (p flow) portOf(b farm.Backend) uint16 { return b.PortFor(p.servicePort) }

// firewalldRules let packets from and to all backends pass.
func firewalldRules(p flow) []string {
	const policy = "firewall-cmd --permanent --policy farmc"
	commands := []string{"firewall-cmd --permanent --new-policy farmc", policy + " --add-ingress-zone ANY",
		policy + " --add-egress-zone ANY"}
	family := map[addr.Family]string{addr.IP4: "ipv4", addr.IP6: "ipv6"}[p.family]
	for _, b := range p.farm.Backends {
		if !b.Address.Has(p.family) || len(commands)+3 > maxCommands {
			continue
		}
		for _, end := range []string{"destination", "source"} {
			rule := fmt.Sprintf("rule family=%s %s address=%s accept", family, end, b.Address[p.family])
			commands = append(commands, policy+" --add-rich-rule "+shell.Quote(rule))
		}
	}
	return append(commands, "firewall-cmd --reload")
}
