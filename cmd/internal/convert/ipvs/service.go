package ipvs

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"farmc/cmd/internal/convert"
	"farmc/compiler/farm"
)

// A Service is a virtual service, or several that share their servers.
type Service struct {
	At        convert.Place
	Name      string // wanted for the farm; "": the first address and port
	Addresses []Address
	Marks     []Option // firewall marks that packets of the service have
	Family    int      // 4 or 6, of a service with marks alone; 0: not known

	Scheduler Option // "": wlc
	Flags     []Option
	OnePacket convert.Place // of the option --ops; zero: not set

	Persistence *Persistence // nil: none
	Servers     []*Server
	Sorry       *Server // serves while the others do not; nil: none

	Interface Option // that clients arrive at, for direct routing; "": not known
}

// An Address is an address that clients connect to, or a network of them. Port 0 is every port.
type Address struct {
	At       convert.Place
	IP       netip.Addr // the first one of a network
	Bits     int        // of the network's prefix; 0: one address
	Port     uint16
	Protocol string // tcp, udp or sctp
}

// Checked reports whether a server has a check.
func (s Service) Checked() bool {
	return slices.ContainsFunc(s.Servers, func(r *Server) bool {
		return r.Health != nil && r.Health.Type != farm.HealthNone
	})
}

// listen is the address as the key listen has it.
func (a Address) listen() string {
	ip := a.IP.String()
	if a.Bits > 0 {
		ip += "/" + strconv.Itoa(a.Bits)
	}
	if a.IP.Is6() {
		ip = "[" + ip + "]"
	}
	ports := "1-65535"
	if a.Port > 0 {
		ports = fmt.Sprint(a.Port)
	}
	if a.Protocol == "tcp" {
		return ip + ":" + ports
	}
	return ip + ":" + ports + "/" + a.Protocol
}

// An Option is a word of the source with its place.
type Option struct {
	At    convert.Place
	Value string
}

// The forwarding methods.
const (
	Masquerade = "masquerading"
	Direct     = "direct routing"
	Tunnel     = "tunneling"
)

// maxAddresses is how many addresses a service has at most.
const maxAddresses = 4096

// Import adds the farm of a service to the result, and returns it.
func Import(r *convert.Result, s Service) *convert.Farm {
	i := &importer{Result: r, Service: s, farm: r.NewFarm(s.At, s.name())}
	i.mode()
	i.listen()
	i.scheduler()
	i.persistence()
	i.servers()
	if len(s.Servers) == 0 && s.Sorry == nil {
		i.farm.Document["backends"] = map[string]any{}
	}
	return i.farm
}

// name gives the name that the farm should have.
func (s Service) name() string {
	switch {
	case s.Name != "":
		return s.Name
	case len(s.Addresses) > 0:
		a := s.Addresses[0]
		if a.Port == 0 {
			return fmt.Sprintf("%s-all-%s", a.IP, a.Protocol)
		}
		return fmt.Sprintf("%s-%d-%s", a.IP, a.Port, a.Protocol)
	case len(s.Marks) > 0:
		return "fwmark-" + s.Marks[0].Value
	}
	return "service"
}

// An importer fills the farm of one service.
type importer struct {
	*convert.Result
	Service
	farm *convert.Farm
	kind string // the forwarding method of the farm
}

// mode sets the mode from the method that the first server has.
func (i *importer) mode() {
	i.kind = Masquerade
	at := i.At
	if len(i.Servers) > 0 {
		i.kind, at = i.Servers[0].Method, i.Servers[0].At
	}
	if i.kind == Masquerade {
		i.farm.Set(i.At, "dnat", "mode")
		return
	}
	i.farm.Set(i.At, "dsr", "mode")
	if i.kind == Tunnel {
		i.Lose(at, "farmc has no tunnels to backends",
			"the farm has mode dsr, which needs the backends on a link of this machine; else use mode dnat or snat")
	}
	if i.Interface.Value != "" {
		i.farm.Set(i.Interface.At, []string{i.Interface.Value}, "interfaces")
		return
	}
	i.farm.Incomplete = true
	i.Lose(i.At, "direct routing does not name the interface that clients arrive at, and mode dsr needs it",
		"import with --interface, or add interfaces to "+i.farm.Name+".toml.incomplete, and remove the ending")
}

// listen sets the addresses.
func (i *importer) listen() {
	for n, a := range i.Addresses {
		if n == maxAddresses {
			i.Lose(a.At, fmt.Sprintf("the service has more than %d addresses", maxAddresses),
				"divide it into several farms")
			break
		}
		i.farm.Add(a.At, a.listen(), "listen")
	}
	i.ftp()
	for _, mark := range i.Marks {
		i.Lose(mark.At, "farmc has no services by firewall mark",
			"write the addresses and ports that rules give the mark "+mark.Value+
				" into the key listen, and delete the rules")
	}
	if len(i.Addresses) == 0 {
		i.farm.Incomplete = true
	}
}

// ftp notes that IPVS has a module of its own for FTP.
func (i *importer) ftp() {
	n := slices.IndexFunc(i.Addresses, func(a Address) bool { return a.Port == 21 && a.Protocol == "tcp" })
	if n >= 0 && !i.untracked() {
		i.Note(i.Addresses[n].At, "IPVS translates FTP if the module ip_vs_ftp is loaded", `set helper = "ftp" for it`)
	}
}

// untracked reports whether the farm has no connection tracking.
func (i *importer) untracked() bool { return i.kind != Masquerade }

// all gives the servers with the sorry server.
func (i *importer) all() []*Server {
	if i.Sorry == nil {
		return i.Servers
	}
	return append(slices.Clip(i.Servers), i.Sorry)
}
