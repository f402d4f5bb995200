package haproxy

import (
	"fmt"
	"strconv"
	"strings"

	"farmc/cmd/internal/convert"
)

// A server is a server with its options.
type server struct {
	directive
	address address
	options map[string]string // values by name; "" for options without one
}

// The options with a value, and the options without one.
var (
	optionsWithValue = convert.Words(`weight maxconn minconn maxqueue port addr inter fastinter downinter rise fall
		source cookie id observe error-limit on-error on-marked-down on-marked-up slowstart track init-addr resolvers
		resolve-prefer resolve-net resolve-opts sni check-sni check-alpn alpn verify verifyhost ca-file crt crl-file
		ciphers ciphersuites ssl-min-ver ssl-max-ver proto check-proto agent-addr agent-port agent-inter agent-send
		namespace redir tcp-ut usesrc interface proxy-v2-options socks4 pool-max-conn pool-purge-delay pool-low-conn
		max-reuse log-bufsize log-proto init-state hash-key shard ws npn`)
	optionsAlone = convert.Words(`check no-check backup disabled enabled ssl no-ssl send-proxy send-proxy-v2
		send-proxy-v2-ssl send-proxy-v2-ssl-cn check-ssl no-check-ssl check-send-proxy check-via-socks4 agent-check
		non-stick stick force-sslv3
		no-backup no-send-proxy tfo force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 no-sslv3 no-tlsv10
		no-tlsv11 no-tlsv12 no-tlsv13 allow-0rtt ssl-reuse no-ssl-reuse tls-tickets no-tls-tickets no-verifyhost`)
)

// server reads a line with a server, or the options that all have.
func (f *front) server(d directive) {
	s := &server{directive: d, options: map[string]string{}}
	from := 3
	switch d.word(0) {
	case "default-server":
		from = 1
	case "server-template":
		from = 4
		f.Note(d.at, "a hostname stands for a backend for each of its addresses", "the farm has one entry")
	}
	f.options(s, from)
	if d.word(0) == "default-server" {
		f.check.defaults = merged(f.check.defaults, s.options)
		return
	}
	s.options = merged(f.check.defaults, s.options)
	a, known := readAddress(d.word(from - 1))
	if !known || strings.Contains(a.ports, "-") || !a.ip.IsValid() && a.host == "" {
		f.Lose(d.at, "the server has no address that farmc can have", "write an address with a port, or leave it out")
		return
	}
	if a.ip.IsLoopback() {
		f.Lose(d.at, "a loopback address cannot be a backend, so the server is left out",
			"give the service an address of this machine's network")
		return
	}
	s.address = a
	f.servers = append(f.servers, s)
}

// options reads the options of a server from a word on.
func (f *front) options(s *server, from int) {
	for i := from; i < len(s.words); i++ {
		switch o := s.words[i]; {
		case optionsWithValue[o]:
			i++
			if s.variable && strings.Contains(s.word(i), "$") {
				f.Lose(s.at, "option "+o+" has a variable of HAProxy's environment, so it is left out",
					"write its value")
				continue
			}
			s.options[o] = s.word(i)
		case optionsAlone[o]:
			s.options[o] = ""
		default:
			f.Lose(s.at, "unknown option "+o+" of a server", "leave it out")
		}
	}
}

func merged(a, b map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range a {
		out[k] = v
	}
	for k, v := range b {
		delete(out, opposite(k))
		out[k] = v
	}
	return out
}

// opposite gives the option that another one takes back.
func opposite(option string) string {
	switch base, no := strings.CutPrefix(option, "no-"); {
	case no:
		return base
	case option == "enabled":
		return "disabled"
	case option == "disabled":
		return "enabled"
	}
	return "no-" + option
}

func (s *server) has(option string) bool { _, has := s.options[option]; return has }

// writeServers writes the backends, and their checks.
func (f *front) writeServers() {
	primaries, backups := 0, 0
	for _, s := range f.servers {
		if !s.has("backup") {
			primaries++
		}
	}
	all := f.back.allBackups()
	var checked []*server
	names := map[*server]string{}
	for _, s := range f.servers {
		name := f.backend(s)
		names[s] = name
		if s.has("backup") {
			if priority := 2 + backups; all {
				f.LastResort(f.farm, s.at, name, 2, primaries)
			} else {
				f.LastResort(f.farm, s.at, name, priority, primaries)
			}
			backups++
		}
		if s.has("check") {
			checked = append(checked, s)
		}
	}
	if len(f.servers) == 0 {
		f.farm.Document["backends"] = map[string]any{}
	}
	f.writeChecks(checked, names)
}

// allBackups reports whether all backups serve at once.
func (p *proxy) allBackups() (all bool) {
	for _, d := range p.all() {
		if d.option("option") == "allbackups" {
			all = d.word(0) == "option"
		}
	}
	return all
}

// backend writes one backend, and gives its name.
func (f *front) backend(s *server) string {
	address := s.address.host
	if address == "" {
		address = s.address.ip.String()
	}
	name := f.farm.NewBackend(s.at, s.word(1), address)
	set := func(value any, key string) { f.farm.Set(s.at, value, "backends", name, key) }
	if s.address.ports != "" && !f.samePort(s.address.ports) {
		port, _ := strconv.Atoi(s.address.ports)
		set(port, "port")
	}
	if s.address.shift != 0 {
		f.shiftPorts(s, set)
	}
	f.numbers(s, set)
	if s.has("disabled") {
		set("down", "state")
	}
	if text := s.options["source"]; text != "" {
		if a, known := readAddress(text); known && a.ip.IsValid() && !a.ip.IsUnspecified() {
			set(a.ip.String(), "source-address")
			f.losePorts(s.directive, a)
		} else {
			f.Lose(s.at, "source has no numeric address", "set source-address")
		}
	}
	f.lostOptions(s)
	return name
}

// samePort reports whether the farm listens on one port, the same one.
func (f *front) samePort(port string) bool {
	for _, l := range f.entries() {
		if !strings.HasSuffix(l.(string), ":"+port) {
			return false
		}
	}
	return len(f.entries()) > 0
}

// shiftPorts moves each port of the farm by an offset.
func (f *front) shiftPorts(s *server, set func(any, string)) {
	moved := map[string]any{}
	for _, l := range f.entries() {
		ports := l.(string)[strings.LastIndexByte(l.(string), ':')+1:]
		first, last := portsOf(ports)
		if first += s.address.shift; first < 1 || last+s.address.shift > 65535 {
			f.Lose(s.at, "the port of the server is out of 1 to 65535", "write another offset; the port stays as it is")
			return
		}
		if moved[ports] = int64(first); strings.Contains(ports, "-") {
			moved[ports] = fmt.Sprintf("%d-%d", first, last+s.address.shift)
		}
	}
	set(moved, "ports")
}

// numbers writes weight and maxconn.
func (f *front) numbers(s *server, set func(any, string)) {
	switch n, err := strconv.ParseUint(s.options["weight"], 10, 16); {
	case !s.has("weight") || n == 1:
	case err != nil || n > 256:
		f.Lose(s.at, "weight is not a number from 0 to 256", "write one; the farm has 1")
	case n == 0:
		set("drain", "state")
	default:
		set(int(n), "weight")
	}
	f.wrongNumbers(s)
	if n, err := strconv.ParseUint(s.options["maxconn"], 10, 31); err == nil && n > 0 {
		set(int(n), "connections")
		f.Note(s.at, "connections above the server's maxconn wait in HAProxy", "farmc sends them to another backend")
	}
}

// wrongNumbers reports the numbers and times of options that are none.
func (f *front) wrongNumbers(s *server) {
	for _, o := range []string{"maxconn", "port", "rise", "fall"} {
		if _, err := strconv.ParseUint(s.options[o], 10, 31); s.has(o) && err != nil {
			f.Lose(s.at, o+" is not a number", "write one; the farm has the default")
		}
	}
	for _, o := range []string{"inter", "fastinter", "slowstart"} {
		if _, err := readTime(s.options[o]); s.has(o) && err != nil {
			f.Lose(s.at, o+" is not a time", "write a number with a unit, as in 30s; the farm has the default")
		}
	}
	if path := s.options["ca-file"]; s.has("check-ssl") && path != "" && !strings.HasPrefix(path, "/") {
		f.Lose(s.at, "ca-file has no absolute path", "set tls-ca in [health]")
	}
}

// lostOptions reads the options that farmc has no key for.
func (f *front) lostOptions(s *server) {
	for _, o := range []string{"ssl", "send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn",
		"socks4", "usesrc", "redir", "cookie", "namespace", "interface"} {
		if s.has(o) {
			f.Lose(s.at, "farmc changes no bytes of a connection, so it has no "+o,
				"keep HAProxy for it, or use mode dnat")
		}
	}
	if s.has("downinter") {
		f.Note(s.at, "checks of farmc have one interval for all states", "the farm has that of inter")
	}
	if s.options["on-marked-up"] == "shutdown-backup-sessions" {
		f.Lose(s.at, "farmc leaves connections with a backup that serves no longer", "leave on-marked-up out")
	}
	if s.has("non-stick") && f.sticks.first.words != nil {
		f.Lose(s.at, "farmc remembers clients of all backends", "leave non-stick out")
	}
	for _, o := range []string{"track", "agent-check", "observe", "addr", "minconn", "maxqueue", "check-send-proxy",
		"check-alpn", "check-proto"} {
		if s.has(o) {
			f.Lose(s.at, "option "+o+" has no key in farmc", "see farmc-health(7)")
		}
	}
}

// timer gives the time of an option.
func (s *server) timer(option string) timer {
	t, err := readTime(s.options[option])
	if err != nil {
		return timer{}
	}
	return timer{s.at, t}
}
