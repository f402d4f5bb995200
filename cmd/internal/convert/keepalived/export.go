package keepalived

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"farmc/cmd/internal/convert"
	"farmc/cmd/internal/convert/ipvs"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// Export writes services as keepalived.conf, with the checks of their servers.
func Export(r *convert.Result, services []ipvs.Service) string {
	w := &writer{Result: r, rises: map[string]bool{}}
	for _, s := range services {
		if len(s.Servers) == 0 {
			r.Note(s.At, fmt.Sprintf("keepalived takes no virtual server without a real server, as on %s port %d",
				s.Addresses[0].IP, s.Addresses[0].Port), "it is left out")
			continue
		}
		w.service(s)
	}
	return w.out.String()
}

// A writer writes statements with their indentation.
type writer struct {
	*convert.Result
	out   strings.Builder
	depth int
	rises map[string]bool // the farms that differ by rise, which is said once
}

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(&w.out, "%s%s\n", strings.Repeat("    ", w.depth), fmt.Sprintf(format, args...))
}

func (w *writer) begin(format string, args ...any) {
	w.line(format+" {", args...)
	w.depth++
}

func (w *writer) end() {
	w.depth--
	w.line("}")
}

// kinds are the names of the forwarding methods.
var kinds = map[string]string{ipvs.Masquerade: "NAT", ipvs.Direct: "DR", ipvs.Tunnel: "TUN"}

func (w *writer) service(s ipvs.Service) {
	a := s.Addresses[0]
	if a.Port == 0 {
		w.begin("virtual_server %s", a.IP)
	} else {
		w.begin("virtual_server %s %d", a.IP, a.Port)
	}
	w.line("lvs_sched %s", s.Scheduler.Value)
	for _, f := range s.Flags {
		w.line("%s", f.Value)
	}
	w.line("lvs_method %s", kinds[s.Servers[0].Method])
	if s.OnePacket.File != "" {
		w.line("ops")
	}
	w.line("protocol %s", strings.ToUpper(a.Protocol))
	if p := s.Persistence; p != nil {
		w.line("persistence_timeout %d", p.Seconds)
		if p.Mask.Value != "" {
			w.line("persistence_granularity %s", p.Mask.Value)
		}
	}
	if s.Sorry != nil {
		if len(s.Servers) > 1 {
			w.Lose(s.Sorry.At, "backend "+s.Sorry.Backend+" has a worse priority: it is the sorry_server",
				"keepalived lets it serve once all others fail, and farmc for each that fails")
		}
		w.line("sorry_server %s %d", s.Sorry.IP, s.Sorry.Port)
	}
	for _, r := range s.Servers {
		w.server(r)
		w.rise(s.Name, r)
	}
	w.end()
}

func (w *writer) server(r *ipvs.Server) {
	if r.Port == 0 {
		w.begin("real_server %s", r.IP)
	} else {
		w.begin("real_server %s %d", r.IP, r.Port)
	}
	w.line("weight %d", r.Weight)
	if r.Upper > 0 {
		w.line("uthreshold %d", r.Upper)
	}
	if r.Health != nil {
		if r.Health.OnFail == farm.Drain {
			w.line("inhibit_on_failure")
		}
		w.check(r, r.Health)
	}
	w.end()
}

// rise says that keepalived takes a server back after one check. farmc's own default of 2 is no loss.
func (w *writer) rise(name string, r *ipvs.Server) {
	if r.Health == nil || r.Health.Rise < 2 || names[r.Health.Type] == "" || w.rises[name] {
		return
	}
	w.rises[name] = true
	say := w.Note
	if r.Health.Rise > 2 {
		say = w.Lose
	}
	say(r.At, fmt.Sprintf("backends of farm %s are healthy after %d checks that pass", name, r.Health.Rise),
		"keepalived has no rise: its servers are after 1")
}

// names are the checkers of the types of [health].
var names = map[farm.HealthType]string{farm.HealthTCP: "TCP_CHECK", farm.HealthHTTP: "HTTP_GET",
	farm.HealthHTTPS: "SSL_GET", farm.HealthTLS: "TCP_CHECK", farm.HealthUDP: "UDP_CHECK", farm.HealthDNS: "DNS_CHECK",
	farm.HealthICMP: "PING_CHECK", farm.HealthExec: "MISC_CHECK"}

// check writes the checker of a server.
func (w *writer) check(r *ipvs.Server, h *farm.Health) {
	name := names[h.Type]
	if name == "" {
		if h.Type == farm.HealthFile {
			w.Lose(r.At, "keepalived reads a number from a file, and farmc a word", "write FILE_CHECK by hand")
		}
		return
	}
	w.begin("%s", name)
	w.line("delay_loop %g", h.Interval.Seconds())
	if h.Fall > 1 || h.Type != farm.HealthExec {
		w.line("retry %d", h.Fall-1)
		w.line("delay_before_retry %g", max(h.FastInterval, 10*time.Millisecond).Seconds())
	}
	if h.Type == farm.HealthExec {
		w.line("misc_path %s/%s", farm.ChecksDir, h.Program)
		w.line("misc_timeout %d", max(1, int(h.Timeout.Seconds())))
	} else {
		w.line("connect_timeout %g", h.Timeout.Seconds())
	}
	if h.Start == farm.Down {
		w.line("alpha")
	}
	if from := h.Source[addr.FamilyOf(r.IP)]; from.IsValid() && h.Type != farm.HealthExec {
		w.line("bindto %s", from)
	}
	if h.Port != 0 && h.Port != r.Port && h.Type != farm.HealthICMP && h.Type != farm.HealthExec {
		w.line("connect_port %d", h.Port)
	}
	w.question(r, h)
	w.end()
}

// question writes the request of a check, and the answer that it expects.
func (w *writer) question(r *ipvs.Server, h *farm.Health) {
	lose := func(what string) {
		w.Lose(r.At, "the check of backend "+r.Backend+": keepalived has no "+what, "the checker is without it")
	}
	switch h.Type {
	case farm.HealthHTTP, farm.HealthHTTPS:
		w.url(h, lose)
	case farm.HealthUDP:
		if len(h.Send) > 0 {
			w.line("payload %s", hex.EncodeToString([]byte(h.Send)))
		}
		if len(h.Expect) > 0 {
			w.line("require_reply %s", hex.EncodeToString([]byte(h.Expect)))
		}
	case farm.HealthDNS:
		w.line("type %s", h.DNSType)
		w.line("name %s", h.DNSName)
		if h.DNSAnswer != "" {
			lose("dns-answer")
		}
	case farm.HealthExec:
		lose("environment variables for programs, and other weights by their status")
	case farm.HealthTCP, farm.HealthTLS:
		if len(h.Send)+len(h.Expect) > 0 {
			lose("send and expect")
		}
		if h.Type == farm.HealthTLS {
			lose("check of TLS alone")
		}
	}
}

func (w *writer) url(h *farm.Health, lose func(string)) {
	if h.Method != "GET" {
		lose("method " + h.Method)
	}
	if h.TLSVerify && h.Type == farm.HealthHTTPS {
		lose("verification of certificates")
	}
	if h.Type == farm.HealthHTTPS {
		w.serverName(h, lose)
	}
	w.begin("url")
	w.line("path %s", w.text(h.Path, lose))
	if h.Host != "" {
		w.line("virtualhost %s", w.text(h.Host, lose))
	}
	var codes []string
	for _, s := range h.Status {
		codes = append(codes, fmt.Sprintf("%d-%d", s.First, s.Last))
	}
	if len(codes) > 0 {
		w.line("status_code %s", strings.Join(codes, " "))
	}
	if h.Body != "" || h.BodyRegexp != nil {
		lose("body")
	}
	w.end()
}

// serverName lets keepalived ask for the name of the host, as farmc does.
func (w *writer) serverName(h *farm.Health, lose func(string)) {
	switch {
	case h.Host != "" && cmp.Or(h.TLSName, h.Host) == h.Host:
		w.line("enable_sni")
	case h.TLSName != "":
		lose("TLS name other than the host")
	}
}

// text quotes a text that has characters with a meaning.
func (w *writer) text(text string, lose func(string)) string {
	if strings.ContainsAny(text, "\"$\\\n") {
		lose("text with quotes, backslashes or dollar signs")
		return "/"
	}
	if strings.ContainsAny(text, "#!{} \t") {
		return `"` + text + `"`
	}
	return text
}
