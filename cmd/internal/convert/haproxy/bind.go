package haproxy

import (
	"net/netip"
	"strconv"
	"strings"

	"farmc/cmd/internal/convert"
)

// An address is the address of a bind or of a server.
type address struct {
	ip    netip.Addr // zero: a hostname, or every address of IPv4
	host  string     // the hostname
	ports string     // "80", "80-89"; "": none
	shift int        // of ports that are written +N or -N, from those that clients connect to
}

// readAddress reads an address with ports; not known are sockets and descriptors.
func readAddress(text string) (a address, known bool) {
	for _, family := range []string{"ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@"} {
		text = strings.TrimPrefix(text, family)
	}
	if strings.ContainsAny(text, "@/$") {
		return a, false
	}
	host := text
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		host, a.ports = text[:i], text[i+1:]
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host != "" && host != "*" {
		ip, err := netip.ParseAddr(host)
		if a.ip = ip; err != nil {
			a.host = host
		}
		if ip.Zone() != "" {
			return a, false
		}
	}
	if strings.HasPrefix(a.ports, "+") || strings.HasPrefix(a.ports, "-") {
		n, err := strconv.ParseInt(a.ports, 10, 17)
		a.ports, a.shift = "", int(n)
		return a, err == nil
	}
	return a, a.ports == "" || isPorts(a.ports)
}

// isPorts reports whether a text is a port, or a range of them.
func isPorts(text string) bool {
	first, last := portsOf(text)
	return 0 < first && first <= last
}

// portsOf reads a port, or a range of them; 0 for another text.
func portsOf(text string) (first, last int) {
	begin, end, isRange := strings.Cut(text, "-")
	if !isRange {
		end = begin
	}
	a, errA := strconv.ParseUint(begin, 10, 16)
	b, errB := strconv.ParseUint(end, 10, 16)
	if errA != nil || errB != nil {
		return 0, 0
	}
	return int(a), int(b)
}

// bind adds addresses, and reads the options of their sockets.
func (f *front) bind(d directive) {
	options := d.words[min(2, len(d.words)):]
	both := false
	for _, o := range options {
		both = both || o == "v4v6"
		f.bindOption(d, o)
	}
	before := len(f.entries())
	for _, text := range strings.Split(d.word(1), ",") {
		a, known := readAddress(text)
		switch {
		case !known || a.host != "" || a.ports == "":
			f.Lose(d.at, "bind has an address that is not numeric with a port", "write one, or leave it out")
		case !a.ip.IsValid():
			f.farm.Add(d.at, "0.0.0.0:"+a.ports, "listen")
		case a.ip.Is6() && a.ip.IsUnspecified() && both:
			f.farm.Add(d.at, "*:"+a.ports, "listen")
		case a.ip.Is6():
			f.farm.Add(d.at, "["+a.ip.String()+"]:"+a.ports, "listen")
		default:
			f.farm.Add(d.at, a.ip.String()+":"+a.ports, "listen")
		}
	}
	if len(f.entries()) > before {
		f.devices = append(f.devices, device{d.at, d.option("interface")})
	}
}

// entries gives the entries of listen.
func (f *front) entries() []any {
	list, _ := f.farm.Get("listen").([]any)
	return list
}

// bindOption reads an option of a socket. Values of options pass as options without a meaning.
func (f *front) bindOption(d directive, option string) {
	switch option {
	case "ssl":
		f.Lose(d.at, "farmc ends no TLS", "let the backends have the certificates, or keep HAProxy for it")
	case "accept-proxy", "accept-netscaler-cip", "expect-proxy":
		f.Lose(d.at, "farmc reads no PROXY header", "let the load balancer before it forward connections as they are")
	case "maxconn":
		f.Lose(d.at, "a bind has no bound of its own", "set limits.connections")
	case "process", "thread", "id", "name", "tfo", "mss", "backlog", "defer-accept", "nice", "transparent":
		f.Note(d.at, "option "+option+" of bind has no meaning in farmc", "leave it out")
	}
}

// A device is the interface that a bind takes connections from.
type device struct {
	at   convert.Place // of the bind
	name string        // "": every interface
}

// writeInterfaces writes the interface if all binds have the same one.
func (f *front) writeInterfaces() {
	for _, d := range f.devices {
		if d.name != f.devices[0].name {
			f.Lose(d.at, "binds have different interfaces, and a farm has the same ones for all its addresses",
				"divide the farm, and set interfaces; it takes connections from all")
			return
		}
	}
	if len(f.devices) > 0 && f.devices[0].name != "" {
		f.farm.Set(f.devices[0].at, []string{f.devices[0].name}, "interfaces")
	}
}
