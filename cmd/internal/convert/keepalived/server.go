package keepalived

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"farmc/cmd/internal/convert"
	"farmc/cmd/internal/convert/ipvs"
)

// A virtualServer is a virtual server while its statements are read.
type virtualServer struct {
	*configuration
	ipvs.Service
	protocol string // "": no statement says it
	method   string
	sorry    *statement
	sorryBy  *statement // sorry_server_lvs_method; nil: the server has the method of the others
	checks   checkDefaults
	servers  []*realServer
}

// A realServer is a server with its checks.
type realServer struct {
	ipvs.Server
	block  *statement
	checks checkDefaults
	health map[string]any // nil: it has no check
}

// virtualServer adds the farm of a virtual server.
func (c *configuration) virtualServer(s *statement) {
	v := &virtualServer{configuration: c, method: ipvs.Masquerade, checks: newCheckDefaults()}
	v.At = s.at
	for _, d := range s.within {
		v.statement(d)
	}
	v.listen(s)
	v.everyPort(s)
	for _, r := range v.servers {
		v.realServer(r)
		v.Service.Servers = append(v.Service.Servers, &r.Server)
	}
	v.lastResort()
	v.Service.Interface = v.interfaceOf()
	farm := ipvs.Import(c.Result, v.Service)
	if c.timeouts != nil {
		ipvs.Timeouts(c.Result, farm, v.Service, *c.timeouts)
	}
	v.writeHealth(farm)
}

// listen reads the addresses of the virtual server.
func (v *virtualServer) listen(s *statement) {
	v.readAddresses(s, cmp.Or(v.protocol, defaultProtocol))
	if v.protocol == "" && len(v.Addresses) > 0 {
		v.Note(v.At, "the virtual server has no protocol, which is UDP in keepalived",
			"write protocol TCP if it is TCP")
	}
}

// defaultProtocol is the protocol of a virtual server that names none. keepalived 2.2.7 warns of it.
const defaultProtocol = "udp"

// readAddresses reads the address, or the addresses of the group.
func (v *virtualServer) readAddresses(s *statement, protocol string) {
	if s.word(1) == "group" {
		v.Name = s.word(2)
		v.group(s, s.word(2), &v.Service, protocol)
		return
	}
	v.address(s, 1, &v.Service, protocol)
}

// interfaceOf is the interface of the first address: as the option --interface says, or VRRP.
func (v *virtualServer) interfaceOf() ipvs.Option {
	if v.iface != "" {
		return ipvs.Option{Value: v.iface}
	}
	for _, a := range v.Addresses {
		if device := v.interfaces[a.IP]; device.Value != "" {
			return device
		}
	}
	return ipvs.Option{}
}

// statement reads one statement of a virtual server.
func (v *virtualServer) statement(d *statement) {
	if v.checks.set(v.Result, d) {
		return
	}
	switch name := d.name(); name {
	case "lb_algo", "lvs_sched":
		v.Scheduler = ipvs.Option{At: d.at, Value: d.word(1)}
	case "lb_kind", "lvs_method":
		v.method = v.methodOf(d, v.method)
	case "flag-1", "flag-2", "flag-3", "sh-port", "sh-fallback", "mh-port", "mh-fallback":
		v.Flags = append(v.Flags, ipvs.Option{At: d.at, Value: name})
	case "hashed":
		v.Flags = append(v.Flags, ipvs.Option{At: d.at, Value: "flag-1"})
	case "ops":
		v.OnePacket = d.at
	case "persistence_timeout":
		v.setPersistence(d)
	case "persistence_granularity":
		v.persistence(d).Mask = ipvs.Option{At: d.at, Value: d.word(1)}
	case "persistence_engine":
		v.persistence(d).Engine = ipvs.Option{At: d.at, Value: d.word(1)}
	case "protocol":
		v.setProtocol(d)
	case "sorry_server":
		v.sorry = d
	case "sorry_server_lvs_method":
		v.sorryBy = d
	case "real_server":
		v.servers = append(v.servers, &realServer{block: d})
	default:
		v.lost(d)
	}
}

// lost reads the statements that farmc has no key for.
func (v *virtualServer) lost(d *statement) {
	switch name := d.name(); name {
	case "quorum":
		if d.word(1) != "1" {
			v.Lose(d.at, "farmc has no quorum: a farm serves as long as one backend does", "leave it out")
		}
	case "hysteresis", "omega", "ha_suspend", "ip_family", "snmp_name", "smtp_alert", "no_smtp_alert":
		v.Note(d.at, name+" has no meaning in farmc", "leave it out; farmc status and the API tell states")
	case "quorum_up", "quorum_down", "notify_up", "notify_down":
		v.Note(d.at, "farmc runs no program by "+name, "follow the events of the API: farmc-api(7)")
	case "sorry_server_inhibit", "nat_mask":
		v.Note(d.at, name+" has no meaning in farmc", "leave it out")
	default:
		v.unknown(d, "in a virtual server")
	}
}

// methodOf reads a forwarding method.
func (v *virtualServer) methodOf(d *statement, before string) string {
	switch strings.ToUpper(d.word(1)) {
	case "NAT":
		return ipvs.Masquerade
	case "DR":
		return ipvs.Direct
	case "TUN":
		return ipvs.Tunnel
	}
	v.Lose(d.at, "the forwarding method is not NAT, DR or TUN", "write one of them; the farm has "+before)
	return before
}

func (v *virtualServer) persistence(d *statement) *ipvs.Persistence {
	if v.Persistence == nil {
		v.Persistence = &ipvs.Persistence{At: d.at, Seconds: defaultPersistence}
	}
	return v.Persistence
}

// The times of persistence in seconds: the default and the longest one.
const (
	defaultPersistence = 360
	longestPersistence = 31 * 24 * 3600
)

// setPersistence reads how long clients are remembered.
func (v *virtualServer) setPersistence(d *statement) {
	n, err := strconv.ParseUint(d.word(1), 10, 31)
	switch {
	case d.word(1) == "":
		v.persistence(d)
	case err != nil || n < 1 || n > longestPersistence:
		v.Lose(d.at, "persistence_timeout is no number from 1 to "+strconv.Itoa(longestPersistence)+
			", so keepalived ignores it", "write one")
	default:
		v.persistence(d).Seconds = int(n)
	}
}

// everyPort makes a service of every port persistent, as keepalived does.
func (v *virtualServer) everyPort(s *statement) {
	if v.Persistence == nil && slices.ContainsFunc(v.Addresses, func(a ipvs.Address) bool { return a.Port == 0 }) {
		v.persistence(s)
		v.Note(s.at, "a service of every port is persistent in keepalived", "the farm has persistence, too")
	}
}

// number reads the number of a statement, up to the largest one of IPVS.
func (c *configuration) number(d *statement, absent int) int {
	n, err := strconv.ParseUint(d.word(1), 10, 31)
	if err != nil {
		c.Lose(d.at, d.name()+" has no number from 0 to 2147483647", "write one; the farm has "+strconv.Itoa(absent))
		return absent
	}
	return int(n)
}

func (v *virtualServer) setProtocol(d *statement) {
	switch p := strings.ToLower(d.word(1)); p {
	case "tcp", "udp", "sctp":
		v.protocol = p
	default:
		v.Lose(d.at, "the protocol is not TCP, UDP or SCTP",
			"write one of them; the farm has "+cmp.Or(v.protocol, defaultProtocol))
	}
}

// realServer reads a real server.
func (v *virtualServer) realServer(r *realServer) {
	r.At, r.Method, r.Weight, r.checks = r.block.at, v.method, 1, v.checks
	r.IP, r.Port = v.serverAddress(r.block)
	var checkers []*statement
	for _, d := range r.block.within {
		switch name := d.name(); {
		case r.checks.set(v.Result, d):
		case name == "weight":
			r.Weight = v.number(d, 1)
		case name == "uthreshold":
			r.Upper = v.number(d, 0)
		case name == "lthreshold":
			r.Lower = v.number(d, 0)
		case name == "lvs_method" || name == "lb_kind":
			r.Method = v.methodOf(d, v.method)
		case isChecker(name):
			checkers = append(checkers, d)
		default:
			v.lost(d)
		}
	}
	r.health = v.health(r, checkers)
}

// serverAddress reads the address and the port of a server. The zero address stands for one that is not numeric.
func (v *virtualServer) serverAddress(s *statement) (netip.Addr, uint16) {
	ip, err := netip.ParseAddr(s.word(1))
	if err != nil || ip.Zone() != "" {
		v.Lose(s.at, "the server has no numeric address, so it is left out", "write its address")
		return netip.Addr{}, 0
	}
	port, err := strconv.ParseUint("0"+s.word(2), 10, 16)
	if err != nil {
		v.Lose(s.at, "the port of the server is not a number", "write a number from 1 to 65535; the farm has none")
	}
	return ip, uint16(port)
}

// lastResort reads the sorry server.
func (v *virtualServer) lastResort() {
	if v.sorry == nil {
		return
	}
	ip, port := v.serverAddress(v.sorry)
	v.Sorry = &ipvs.Server{At: v.sorry.at, IP: ip, Port: port, Method: v.method, Weight: 1}
	if v.sorryBy != nil {
		v.Sorry.Method = v.methodOf(v.sorryBy, v.method)
	}
}

// writeHealth writes the checks: those that all servers have in common as the farm's.
func (v *virtualServer) writeHealth(farm *convert.Farm) {
	shared := v.sharedHealth()
	for key, value := range shared {
		farm.Set(convert.Place{}, value, "health", key)
	}
	for _, r := range v.servers {
		if r.Backend == "" || r.health == nil || shared != nil {
			continue
		}
		for key, value := range r.health {
			farm.Set(convert.Place{}, value, "backends", r.Backend, "health", key)
		}
	}
	if v.Sorry != nil && v.Sorry.Backend != "" && shared != nil {
		farm.Set(v.Sorry.At, "none", "backends", v.Sorry.Backend, "health", "type")
	}
}

// sharedHealth gives the check that all servers have; nil if they differ.
func (v *virtualServer) sharedHealth() map[string]any {
	if len(v.servers) == 0 {
		return nil
	}
	for _, r := range v.servers {
		if r.health == nil || !sameHealth(r.health, v.servers[0].health) {
			return nil
		}
	}
	return v.servers[0].health
}
