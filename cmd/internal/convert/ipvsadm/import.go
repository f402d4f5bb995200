// Package ipvsadm reads the rules that ipvsadm -S -n prints, and writes such rules.
//
// import.go carries out the commands of a text, and package ipvs makes farms of the services that are left in the end.
// command.go has the words of one command. export.go is the way back.
package ipvsadm

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"farmc/cmd/internal/convert"
	"farmc/cmd/internal/convert/ipvs"
)

// Import makes a farm of each virtual service.
func Import(in convert.Input) *convert.Result {
	t := &table{Result: &convert.Result{}, iface: in.Interface}
	for _, at := range in.Lines() {
		if words := strings.Fields(at.Text); len(words) > 0 && !strings.HasPrefix(words[0], "#") {
			t.command(at, words)
		}
	}
	for _, s := range t.services {
		farm := ipvs.Import(t.Result, s.Service)
		t.timeouts(farm, s)
	}
	return t.Result
}

// A table is the table of virtual services, as the commands so far make it.
type table struct {
	*convert.Result
	services []*service
	iface    string
	set      *ipvs.Option // the last --set: three numbers
}

// A service is a virtual service with its key in the table, such as "tcp 192.0.2.10:80".
type service struct {
	ipvs.Service
	key string
}

// command carries out one command.
func (t *table) command(at convert.Place, words []string) {
	c := parse(at, words)
	if c.name == "" {
		t.Lose(at, "the line has no command of ipvsadm", "write the rules anew with ipvsadm -S -n")
		return
	}
	for _, unknown := range c.unknown {
		t.Lose(at, "unknown option "+strconv.Quote(unknown), "write the rules anew with ipvsadm -S -n")
	}
	for _, option := range c.lacking {
		t.Lose(at, "option "+option+" has no value", "write one, or leave the option out")
	}
	switch c.name {
	case "-A", "-E":
		t.addService(c)
	case "-D":
		t.remove(c)
	case "-C":
		t.services = nil
	case "-a", "-e":
		t.addServer(c)
	case "-d":
		t.removeServer(c)
	case "--set":
		t.setTimeouts(c)
	case "--start-daemon":
		t.Lose(at, "farmc has no connection synchronization daemon",
			"run conntrackd for farms in mode dnat; maglev and hash need no synchronization")
	case "-L", "-Z", "-S", "-R", "-h", "--stop-daemon":
		t.Note(at, "command "+c.name+" configures nothing", "leave it out")
	}
}

// setTimeouts keeps the times of --set. A time of 0 leaves the one before.
func (t *table) setTimeouts(c command) {
	times := c.arguments
	if t.set != nil {
		for i, before := range strings.Fields(t.set.Value) {
			if i < len(times) && times[i] == "0" {
				times[i] = before
			}
		}
	}
	t.set = &ipvs.Option{At: c.at, Value: strings.Join(times, " ")}
}

// find gives the service of a command; nil if there is none.
func (t *table) find(c command) *service {
	i := slices.IndexFunc(t.services, func(s *service) bool { return s.key == c.key() })
	if i < 0 {
		return nil
	}
	return t.services[i]
}

// addService adds a service, or edits one.
func (t *table) addService(c command) {
	s := t.find(c)
	switch {
	case s == nil && c.name == "-E":
		t.Lose(c.at, "there is no such service to edit", "add it with -A first")
		return
	case s != nil && c.name == "-A":
		t.Lose(c.at, "the service exists already", "leave the line out, or edit it with -E")
		return
	case s == nil:
		s = &service{key: c.key()}
		if !t.address(c, &s.Service) {
			return
		}
		t.services = append(t.services, s)
	}
	s.At = c.at
	s.Interface = ipvs.Option{Value: t.iface}
	s.Scheduler = c.option("-s")
	s.Flags = nil
	for _, flag := range strings.FieldsFunc(c.values["-b"], func(r rune) bool { return r == ',' }) {
		s.Flags = append(s.Flags, ipvs.Option{At: c.at, Value: flag})
	}
	s.OnePacket = convert.Place{}
	if c.has("-o") {
		s.OnePacket = c.at
	}
	s.Persistence = t.persistence(c)
	if len(s.Addresses) > 0 && s.Addresses[0].Port == 0 && s.Persistence == nil {
		t.Lose(c.at, "IPVS takes port 0 with -p alone", "add -p, or write a port; the farm has every port")
	}
}

// address reads the address or the mark of a service.
func (t *table) address(c command, s *ipvs.Service) bool {
	if mark, has := c.values["-f"]; has {
		s.At, s.Marks, s.Family = c.at, []ipvs.Option{{At: c.at, Value: mark}}, 4
		if c.has("-6") {
			s.Family = 6
		}
		return true
	}
	ip, port, err := hostPort(c.serviceAddress())
	if err != nil {
		t.Lose(c.at, "the address of the service is not numeric", "write the rules anew with ipvsadm -S -n")
		return false
	}
	s.Addresses = []ipvs.Address{{At: c.at, IP: ip, Port: port, Protocol: c.protocol()}}
	return true
}

func (t *table) persistence(c command) *ipvs.Persistence {
	if !c.has("-p") {
		return nil
	}
	p := &ipvs.Persistence{At: c.at, Seconds: 300, Mask: c.option("-M"), Engine: c.option("--pe")}
	if text := c.values["-p"]; text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Lose(c.at, "the timeout of -p is not a number of seconds", "the farm has 300s")
			return p
		}
		p.Seconds = n
	}
	return p
}

// remove removes a service with its servers.
func (t *table) remove(c command) {
	t.services = slices.DeleteFunc(t.services, func(s *service) bool { return s.key == c.key() })
}

// addServer adds a server to a service, or edits one.
func (t *table) addServer(c command) {
	s := t.find(c)
	if s == nil {
		t.Lose(c.at, "the server belongs to no service of this text", "add the service with -A first")
		return
	}
	ip, port, err := hostPort(c.values["-r"])
	if err != nil {
		t.Lose(c.at, "the address of the server is not numeric", "write the rules anew with ipvsadm -S -n")
		return
	}
	server := &ipvs.Server{At: c.at, IP: ip, Port: port, Method: c.method(), Weight: t.number(c, "-w", 1),
		Upper: t.number(c, "-x", 0), Lower: t.number(c, "-y", 0)}
	i := slices.IndexFunc(s.Servers, func(o *ipvs.Server) bool { return o.IP == ip && o.Port == port })
	switch {
	case i >= 0 && c.name == "-a":
		t.Lose(c.at, "the service has this server already", "leave the line out, or edit it with -e")
	case i >= 0:
		s.Servers[i] = server
	case c.name == "-e":
		t.Lose(c.at, "there is no such server to edit", "add it with -a first")
	default:
		s.Servers = append(s.Servers, server)
	}
}

func (t *table) removeServer(c command) {
	ip, port, err := hostPort(c.values["-r"])
	if s := t.find(c); s != nil && err == nil {
		s.Servers = slices.DeleteFunc(s.Servers, func(o *ipvs.Server) bool { return o.IP == ip && o.Port == port })
	}
}

// number gives the number of an option.
func (t *table) number(c command, option string, absent int) int {
	text, has := c.values[option]
	if !has {
		return absent
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		t.Lose(c.at, "option "+option+" has no number from 0 to 2147483647", fmt.Sprintf("the farm has %d", absent))
		return absent
	}
	return int(n)
}

// timeouts writes the times of the last --set into a farm.
func (t *table) timeouts(farm *convert.Farm, s *service) {
	if t.set == nil {
		return
	}
	ipvs.Timeouts(t.Result, farm, s.Service, *t.set)
}

// hostPort reads 192.0.2.10:80, [fd00::1]:80, or an address alone.
func hostPort(text string) (ip netip.Addr, port uint16, err error) {
	if ap, err := netip.ParseAddrPort(text); err == nil && ap.Addr().Zone() == "" {
		return ap.Addr(), ap.Port(), nil
	}
	ip, err = netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err == nil && ip.Zone() != "" {
		err = fmt.Errorf("an address with a zone")
	}
	return ip, 0, err
}
