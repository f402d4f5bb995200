package ipvs

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/convert"
	"farmc/cmd/internal/edit"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// Export gives the virtual services of a farm: one for each address, port and protocol. The document of the farm tells
// the keys that it sets: each key without a counterpart in IPVS is a loss.
func Export(r *convert.Result, f *farm.Farm, document edit.Document) []Service {
	e := &exporter{r, f, convert.Place{File: f.Place.File}}
	if f.Mode == farm.Stateless || f.Mode == farm.Local {
		e.Lose(e.at, "farm "+f.Name+" has mode "+string(f.Mode)+", which IPVS does not have", "leave it with farmc")
		return nil
	}
	if f.Mode == farm.SNAT {
		e.Lose(e.at, "farm "+f.Name+" has mode snat, and IPVS keeps the client's address",
			"let replies of backends pass this machine, or add a rule that masquerades")
	}
	e.keys("", document)
	var services []Service
	for _, l := range f.Listen {
		services = append(services, e.services(l)...)
	}
	return services
}

type exporter struct {
	*convert.Result
	farm *farm.Farm
	at   convert.Place
}

// exported are the keys that an export writes, or that have no meaning to connections.
var exported = convert.Words(`description annotations inherit mode listen state scheduler hash-on table-size
	per-packet interfaces local-clients take-over
	persistence.on persistence.timeout persistence.renew persistence.prefix
	backends.address backends.port backends.weight backends.priority backends.state backends.weight-percent
	backends.connections backends.mac backends.interface
	health.type health.port health.path health.host health.method health.status health.body health.body-regexp
	health.tls-name health.tls-ca health.tls-verify health.dns-name health.dns-type health.dns-answer health.send
	health.expect health.program health.file health.interval health.fast-interval health.timeout health.jitter
	health.rise health.fall health.source-address health.start health.on-fail`)

// keys reports the keys of a table that have no counterpart.
func (e *exporter) keys(table string, keys map[string]any) {
	for name, value := range keys {
		path := strings.TrimPrefix(table+"."+name, ".")
		within, isTable := value.(map[string]any)
		switch {
		case exported[path]:
		case path == "backends" && isTable:
			for _, b := range within {
				if own, is := b.(map[string]any); is {
					e.keys("backends", own)
				}
			}
		case isTable && (name == "persistence" || name == "health"):
			e.keys(name, within)
		default:
			e.Lose(e.at, "key "+path+" of farm "+e.farm.Name+" has no counterpart", "see farmc-migration(7)")
		}
	}
}

// services gives the services of one entry of listen.
func (e *exporter) services(l farm.Listen) (all []Service) {
	if !l.Address.IsValid() || l.Portless() {
		e.Lose(e.at, "farm "+e.farm.Name+" listens on every address, or on a protocol without ports, and IPVS on one "+
			"address and port", "write an entry of listen for each")
		return nil
	}
	addresses := e.addresses(l.Network())
	for _, protocol := range l.Protocols {
		for _, ports := range l.Ports {
			for _, port := range e.ports(ports) {
				for _, ip := range addresses {
					all = append(all, e.service(Address{At: e.at, IP: ip, Port: port, Protocol: string(protocol)}))
				}
			}
		}
	}
	return all
}

// maxServices is how many addresses of a network, or ports of a range, become services.
const maxServices = 256

// addresses gives the addresses of a network.
func (e *exporter) addresses(n netip.Prefix) (all []netip.Addr) {
	for ip := n.Addr(); n.Contains(ip); ip = ip.Next() {
		if all = append(all, ip); len(all) > maxServices {
			e.Lose(e.at, fmt.Sprintf("farm %s listens on the large network %s", e.farm.Name, n),
				"mark its packets with a rule, and write a service by fwmark")
			return nil
		}
	}
	return all
}

// ports gives the ports of a range. Port 0 is every port, which IPVS takes with persistence alone.
func (e *exporter) ports(of farm.Ports) (all []uint16) {
	if of.First == 1 && of.Last == 65535 && e.farm.Persistence != nil {
		return []uint16{0}
	}
	if of.Last-of.First >= maxServices {
		e.Lose(e.at, fmt.Sprintf("farm %s listens on the long range of ports %s", e.farm.Name, of),
			"mark its packets with a rule, and write a service by fwmark")
		return nil
	}
	for port := int(of.First); port <= int(of.Last); port++ {
		all = append(all, uint16(port))
	}
	return all
}

// service gives the service of one address.
func (e *exporter) service(a Address) Service {
	s := Service{Name: e.farm.Name, At: e.at, Addresses: []Address{a}}
	e.setScheduler(&s)
	if e.farm.PerPacket {
		s.OnePacket = e.at
	}
	e.setPersistence(&s, a)
	family := addr.IP4
	if a.IP.Is6() {
		family = addr.IP6
	}
	if e.farm.Down {
		e.Note(e.at, "farm "+e.farm.Name+" is down", "its service has no server")
		return s
	}
	backends := e.farm.WithFamily(family)
	for _, b := range backends {
		e.addServer(&s, b, family, bestOf(backends))
	}
	return s
}

// bestOf gives the best priority of the backends that are not down.
func bestOf(backends []farm.Backend) (best int) {
	for _, b := range backends {
		if b.State != farm.Down && (best == 0 || b.Priority < best) {
			best = b.Priority
		}
	}
	return best
}

// addServer adds a backend. The first one of a worse priority is the sorry server.
func (e *exporter) addServer(s *Service, b farm.Backend, family addr.Family, best int) {
	if b.State == farm.Down {
		e.Note(e.at, "backend "+b.Name+" is down", "it is left out")
		return
	}
	health := e.farm.HealthOf(&b)
	server := &Server{At: e.at, IP: b.Address[family], Port: b.Port, Method: Masquerade, Weight: b.Weight,
		Upper: b.Connections, Backend: b.Name, Health: &health}
	if e.farm.Mode == farm.DSR {
		server.Method = Direct
	}
	if server.Port == 0 {
		server.Port = s.Addresses[0].Port
	}
	switch {
	case b.State == farm.Drain:
		server.Weight = 0
	case b.Percent > 0:
		server.Weight = max(1, b.Weight*b.Percent/100)
	}
	switch {
	case b.Priority == best:
		s.Servers = append(s.Servers, server)
	case s.Sorry == nil:
		s.Sorry = server
	default:
		e.Lose(e.at, "backend "+b.Name+" has a worse priority, and a service has one sorry server", "it is left out")
	}
}

// setScheduler sets the scheduler that is nearest.
func (e *exporter) setScheduler(s *Service) {
	flag := func(name string) { s.Flags = append(s.Flags, Option{e.at, name}) }
	switch e.farm.Scheduler {
	case farm.Hash, farm.SymmetricHash:
		s.Scheduler.Value = "sh"
	case farm.Maglev:
		s.Scheduler.Value = "mh"
	case farm.LeastConnections:
		s.Scheduler.Value = "wlc"
		return
	default:
		s.Scheduler.Value = "wrr"
		return
	}
	flag(s.Scheduler.Value + "-fallback")
	for _, key := range e.farm.HashOn {
		switch key {
		case farm.SourceAddress:
		case farm.SourcePort:
			flag(s.Scheduler.Value + "-port")
		default:
			e.Lose(e.at, "IPVS does not hash "+string(key), "it hashes the client's address")
		}
	}
}

// mostSeconds is the longest persistence that ipvsadm 1.31 and keepalived 2.2.7 take.
const mostSeconds = 31 * 24 * 3600

func (e *exporter) setPersistence(s *Service, a Address) {
	p := e.farm.Persistence
	if p == nil {
		return
	}
	if !slices.Equal(p.On, []farm.HashKey{farm.SourceAddress}) {
		e.Lose(e.at, "persistence of IPVS knows clients by address alone", "the service does so")
	}
	s.Persistence = &Persistence{At: e.at, Seconds: max(1, int(p.Timeout/time.Second))}
	if s.Persistence.Seconds > mostSeconds {
		s.Persistence.Seconds = mostSeconds
		e.Lose(e.at, "persistence.timeout of farm "+e.farm.Name+" is longer than 31 days, the most in IPVS",
			"the service has 31 days")
	}
	length := p.Prefix[addr.IP4]
	if a.IP.Is6() {
		if length = p.Prefix[addr.IP6]; 0 < length && length < 128 {
			s.Persistence.Mask.Value = fmt.Sprint(length)
		}
		return
	}
	if 0 < length && length < 32 {
		mask := ^uint32(0) << (32 - length)
		s.Persistence.Mask.Value = fmt.Sprintf("%d.%d.%d.%d", mask>>24, mask>>16&255, mask>>8&255, mask&255)
	}
}
