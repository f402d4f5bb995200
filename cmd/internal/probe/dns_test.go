package probe

import (
	"net"
	"strconv"
	"testing"

	"github.com/miekg/dns"

	"farmc/cmd/internal/netlab"
	"farmc/compiler/farm"
)

func question(name, kind, answer string) func(*farm.Health) {
	return func(h *farm.Health) { h.DNSName, h.DNSType, h.DNSAnswer = name, kind, answer }
}

// serveDNS answers questions by UDP and TCP on a port of a host.
func serveDNS(t *testing.T, h *netlab.Host, port uint16, handle dns.HandlerFunc) {
	t.Helper()
	at := ":" + strconv.Itoa(int(port))
	var packets net.PacketConn
	var connections net.Listener
	err := h.Do(func() (err error) {
		if packets, err = net.ListenPacket("udp", at); err == nil {
			connections, err = net.Listen("tcp", at)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: handle}, {Listener: connections, Handler: handle}} {
		go s.ActivateAndServe()
		t.Cleanup(func() { s.Shutdown() })
	}
}

// replies answers with a code and records.
func replies(code int, records ...string) dns.HandlerFunc {
	return func(w dns.ResponseWriter, asked *dns.Msg) {
		m := new(dns.Msg).SetRcode(asked, code)
		for _, text := range records {
			r, err := dns.NewRR(text)
			if err != nil {
				panic(err)
			}
			m.Answer = append(m.Answer, r)
		}
		w.WriteMsg(m)
	}
}

// onlyByTCP answers with a record by TCP, and that it is too long by UDP.
func onlyByTCP(w dns.ResponseWriter, asked *dns.Msg) {
	if w.LocalAddr().Network() == "tcp" {
		replies(dns.RcodeSuccess, "long. A 192.0.2.9")(w, asked)
		return
	}
	m := new(dns.Msg).SetReply(asked)
	m.Truncated = true
	w.WriteMsg(m)
}

// lateFirst sends an answer to another question before the right one.
func lateFirst(w dns.ResponseWriter, asked *dns.Msg) {
	late := asked.Copy()
	late.Id++
	replies(dns.RcodeServerFailure)(w, late)
	replies(dns.RcodeSuccess, "a. A 192.0.2.9")(w, asked)
}

func TestReasonsOfDNS(t *testing.T) {
	t.Parallel()
	address := replies(dns.RcodeSuccess, "www.example. CNAME a.example.", "a.example. A 192.0.2.9")
	tests := []struct {
		name    string
		server  dns.HandlerFunc // nil: none
		asked   func(*farm.Health)
		healthy bool
		reason  string
	}{
		{"any answer", address, question("www.example", "A", ""), true, "1 record"},
		{"no record", replies(dns.RcodeSuccess), question("www.example", "A", ""), true, "0 records"},
		{"address", address, question("www.example", "A", "192.0.2.9"), true, "expected record"},
		{"alias", address, question("www.example", "CNAME", "A.Example"), true, "expected record"},
		{"address in other digits", replies(dns.RcodeSuccess, "a. AAAA 2001:db8::9"),
			question("a", "AAAA", "2001:DB8:0::9"), true, "expected record"},
		{"text", replies(dns.RcodeSuccess, `a. TXT "all is" "well"`), question("a", "TXT", "all is well"), true,
			"expected record"},
		{"server of mail", replies(dns.RcodeSuccess, "a. MX 10 mail.a."), question("a", "MX", "10 mail.a"), true,
			"expected record"},
		{"second record", replies(dns.RcodeSuccess, "a. A 192.0.2.1", "a. A 192.0.2.9"),
			question("a", "A", "192.0.2.9"), true, "expected record"},
		{"other address", address, question("www.example", "A", "192.0.2.8"), false, "192.0.2.9, expected 192.0.2.8"},
		{"hostile text", replies(dns.RcodeSuccess, `a. TXT "\027[31m\010"`), question("a", "TXT", "well"), false,
			`"\027[31m\010", expected well`},
		{"no record of the type", address, question("www.example", "AAAA", "2001:db8::9"), false,
			"no record of type AAAA"},
		{"no name", replies(dns.RcodeNameError), question("www.example", "A", ""), false,
			"NXDOMAIN, expected NOERROR"},
		{"failure", replies(dns.RcodeServerFailure), question("www.example", "A", ""), false,
			"SERVFAIL, expected NOERROR"},
		{"too long for UDP", onlyByTCP, question("long", "A", "192.0.2.9"), true, "expected record"},
		{"late answer", lateFirst, question("a", "A", "192.0.2.9"), true, "expected record"},
		{"no server", nil, question("www.example", "A", ""), false, "connection refused"},
		{"no answer", func(dns.ResponseWriter, *dns.Msg) {}, func(h *farm.Health) {
			question("www.example", "A", "")(h)
			h.Timeout = soon
		}, false, "no answer in 500ms"},
	}
	l := netlab.Test(t, netlab.Options{Backends: 1})
	for i, tt := range tests {
		port := uint16(1000 + i)
		if tt.server != nil {
			serveDNS(t, l.Backends[0], port, tt.server)
		}
		for _, address := range addresses(l.Backends[0]) {
			got := checkFrom(l.Balancer, target(address, port, a(farm.HealthDNS, tt.asked)))
			want(t, tt.name+" at "+address.String(), got, tt.healthy, tt.reason)
		}
	}
}

// A datagram that is not DNS has a reason of its own.
func TestNotDNS(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	serveUDP(t, l.Backends[0], 53, "hello")
	for _, address := range addresses(l.Backends[0]) {
		got := checkFrom(l.Balancer, target(address, 53, a(farm.HealthDNS, question("a", "A", ""))))
		want(t, address.String(), got, false, "answer is not DNS")
	}
}
