package haproxy

import (
	"net/netip"
	"slices"
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
	six := false
	for _, family := range []string{"ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@"} {
		rest, has := strings.CutPrefix(text, family)
		text, six = rest, six || has && strings.Contains(family, "6")
	}
	if strings.ContainsAny(text, "@/$") {
		return a, false
	}
	host := text
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		host, a.ports = text[:i], text[i+1:]
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	switch {
	case host == "" || host == "*":
		if six {
			a.ip = netip.IPv6Unspecified()
		}
	default:
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
	alone := f.bindOptions(d)["v6only"]
	before := len(f.entries())
	for _, text := range strings.Split(d.word(1), ",") {
		a, known := readAddress(text)
		switch {
		case !known || a.host != "" || a.ports == "":
			f.Lose(d.at, "bind has an address that is not numeric with a port", "write one, or leave it out")
		case (!a.ip.IsValid() || a.ip == netip.IPv4Unspecified()) && f.listens("*:"+a.ports):
		case !a.ip.IsValid():
			f.farm.Add(d.at, "0.0.0.0:"+a.ports, "listen")
		case a.ip == netip.IPv6Unspecified() && !alone && !f.listens("0.0.0.0:"+a.ports):
			f.farm.Add(d.at, "*:"+a.ports, "listen") // the kernel's default for sockets of IPv6, as v4v6
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

// listens reports whether the farm has an entry.
func (f *front) listens(entry string) bool { return slices.Contains(f.entries(), any(entry)) }

// The options of bind with a value, and the options without one.
var (
	bindWithValue = convert.Words(`accept-netscaler-cip alpn backlog ca-file ca-ignore-err ca-sign-file ca-sign-pass
		ca-verify-file ciphers ciphersuites client-sigalgs crl-file crt crt-ignore-err crt-list curves ecdhe expose-fd
		gid group guid-prefix id idle-ping interface label level maxconn mode mss name namespace nice npn ocsp-update
		process proto quic-cc-algo quic-socket severity-output shards sigalgs ssl-max-ver ssl-min-ver tcp-md5sig tcp-ut
		thread tls-ticket-keys uid user verify`)
	bindAlone = convert.Words(`accept-proxy allow-0rtt defer-accept force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12
		force-tlsv13 generate-certificates no-alpn no-ca-names no-sslv3 no-strict-sni no-tls-tickets no-tlsv10 no-tlsv11
		no-tlsv12 no-tlsv13 prefer-client-ciphers quic-force-retry ssl strict-sni tfo transparent v4v6 v6only`)
)

// bindOptions reads the options of a socket, and gives their names.
func (f *front) bindOptions(d directive) map[string]bool {
	names := map[string]bool{}
	for i := 2; i < len(d.words); i++ {
		option := d.words[i]
		names[option] = true
		f.bindOption(d, option)
		switch {
		case bindWithValue[option]:
			i++
		case !bindAlone[option]:
			f.Lose(d.at, "unknown option "+option+" of bind", "leave it out")
		}
	}
	return names
}

// bindOption reads an option of a socket.
func (f *front) bindOption(d directive, option string) {
	switch option {
	case "ssl":
		f.Lose(d.at, "farmc ends no TLS", "let the backends have the certificates, or keep HAProxy for it")
	case "namespace", "tcp-md5sig":
		f.Lose(d.at, "farmc has no "+option+" of a bind", "leave it out")
	case "accept-proxy", "accept-netscaler-cip":
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
