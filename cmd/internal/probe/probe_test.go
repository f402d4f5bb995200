package probe

import (
	"context"
	"net"
	"regexp"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
	"farmc/compiler/farm"
)

func body(text string) func(*farm.Health) { return func(h *farm.Health) { h.Body = text } }

func pattern(text string) func(*farm.Health) {
	return func(h *farm.Health) { h.BodyRegexp = regexp.MustCompile(text) }
}

func status(ranges ...farm.Status) func(*farm.Health) {
	return func(h *farm.Health) { h.Status = ranges }
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready\n"

// Each way in which a server can behave has its reason.
func TestReasonsOfServers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		server  func(net.Conn) // nil: none
		check   farm.Health
		healthy bool
		reason  string
	}{
		{"tcp", silent, a(farm.HealthTCP), true, "connected"},
		{"tcp, no server", nil, a(farm.HealthTCP), false, "connection refused"},
		{"tcp, banner", says("220 mail"), a(farm.HealthTCP, expect("220 ")), true, "expected answer"},
		{"tcp, answer in parts", dribbles("a+PONG"), a(farm.HealthTCP, send("PING\r\n"), expect("+PONG")), true,
			"expected answer"},
		{"tcp, sent only", silent, a(farm.HealthTCP, send("QUIT\r\n")), true, "connected"},
		{"tcp, no answer", silent, a(farm.HealthTCP, send("PING\r\n"), expect("+PONG"), timeout(soon)), false,
			"no answer in 500ms"},
		{"tcp, other answer", answers("-ERR\r\n"), a(farm.HealthTCP, send("PING\r\n"), expect("+PONG")), false,
			"6 bytes without the expected text"},
		{"tcp, other answer, open", says("-ERR\r\n"), a(farm.HealthTCP, expect("+PONG"), timeout(soon)), false,
			"6 bytes without the expected text in 500ms"},
		{"tcp, flood", floods("", "no end "), a(farm.HealthTCP, expect("+PONG")), false,
			"expected text is not in the first 4096 bytes"},
		{"tcp, reset", resets, a(farm.HealthTCP, send("PING\r\n"), expect("+PONG")), false, "connection reset"},
		{"tcp, closed", closes, a(farm.HealthTCP, send("PING\r\n"), expect("+PONG")), false,
			"connection closed without an answer"},

		{"http", answers(ok), a(farm.HealthHTTP), true, "200"},
		{"http, no server", nil, a(farm.HealthHTTP), false, "connection refused"},
		{"http, no answer", silent, a(farm.HealthHTTP, timeout(soon)), false, "no answer in 500ms"},
		{"http, byte by byte", dribbles(ok), a(farm.HealthHTTP), true, "200"},
		{"http, byte by byte, too slow", dribbles("HTTP/1.1 200 " + strings.Repeat("x", 100)),
			a(farm.HealthHTTP, timeout(soon)), false, "no complete answer in 500ms"},
		{"http, part of a line", dribbles("HTTP" + strings.Repeat("x", 100)), a(farm.HealthHTTP, timeout(soon)), false,
			"no complete answer in 500ms"},
		{"http, reset", resets, a(farm.HealthHTTP), false, "connection reset"},
		{"http, closed", closes, a(farm.HealthHTTP), false, "connection closed without an answer"},
		{"http, cut", answers("HTTP/1.1 200 OK\r\nA: b"), a(farm.HealthHTTP), false,
			"connection closed within the answer"},
		{"http, other protocol", answers("SSH-2.0-OpenSSH_9.2\r\n"), a(farm.HealthHTTP), false, "answer is not HTTP"},
		{"http, endless headers", floods("HTTP/1.1 200 OK\r\n", "A: b\r\n"), a(farm.HealthHTTP), false,
			"headers of more than 65536 bytes"},
		{"http, redirect", answers("HTTP/1.1 302 Found\r\nLocation: http://203.0.113.9/\r\n\r\n"), a(farm.HealthHTTP),
			true, "302"},
		{"http, early hints", answers("HTTP/1.1 103 Early Hints\r\n\r\n" + ok), a(farm.HealthHTTP), true, "200"},
		{"http, status", answers("HTTP/1.1 503 No\r\n\r\n"), a(farm.HealthHTTP), false, "503, expected 200-399"},
		{"http, statuses", answers(ok), a(farm.HealthHTTP, status(farm.Status{First: 204, Last: 204},
			farm.Status{First: 300, Last: 399})), false, "200, expected 204, 300-399"},
		{"http, expected failure", answers("HTTP/1.1 503 No\r\n\r\n"), a(farm.HealthHTTP,
			status(farm.Status{First: 503, Last: 503})), true, "503"},
		{"http, body", answers(ok), a(farm.HealthHTTP, body("ready")), true, "200, expected body"},
		{"http, other body", answers(ok), a(farm.HealthHTTP, body("steady")), false,
			"200, body without the expected text"},
		{"http, pattern", answers(ok), a(farm.HealthHTTP, pattern(`(?m)^rea.y$`)), true, "200, expected body"},
		{"http, other pattern", answers(ok), a(farm.HealthHTTP, pattern(`^y`)), false,
			"200, body does not match the expected pattern"},
		{"http, chunks", answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"3\r\nrea\r\n2\r\ndy\r\n0\r\n\r\n"), a(farm.HealthHTTP, body("ready")), true, "200, expected body"},
		{"http, endless body", floods("HTTP/1.1 200 OK\r\n\r\n", "no end "), a(farm.HealthHTTP, body("ready")), false,
			"200, body without the expected text"},
		{"http, slow body", says("HTTP/1.1 200 OK\r\n\r\nrea"), a(farm.HealthHTTP, body("ready"), timeout(soon)), false,
			"200, no complete body in 500ms"},
		{"http, slow body that does not count", says("HTTP/1.1 200 OK\r\n\r\nrea"), a(farm.HealthHTTP), true, "200"},

		{"tls, no server", nil, a(farm.HealthTLS), false, "connection refused"},
		{"tls, no answer", silent, a(farm.HealthTLS, timeout(soon)), false, "no TLS handshake in 500ms"},
		{"tls, byte by byte", dribbles("\x16\x03\x03\x40\x00" + strings.Repeat("\x00", 100)),
			a(farm.HealthTLS, timeout(soon)), false, "no TLS handshake in 500ms"},
		{"tls, other protocol", says("SSH-2.0-OpenSSH_9.2\r\n"), a(farm.HealthTLS), false, "answer is not TLS"},
		{"tls, reset", resets, a(farm.HealthTLS), false, "connection reset"},
		{"tls, closed", closes, a(farm.HealthTLS), false, "connection closed without an answer"},
		{"https, other protocol", answers("HTTP/1.1 400 Bad Request\r\n\r\n"), a(farm.HealthHTTPS), false,
			"answer is not TLS"},
		{"https, no answer", silent, a(farm.HealthHTTPS, timeout(soon)), false, "no TLS handshake in 500ms"},
	}
	l := netlab.Test(t, netlab.Options{Backends: 1})
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			port := uint16(1000 + i)
			if tt.server != nil {
				serve(t, l.Backends[0], port, tt.server)
			}
			for _, address := range addresses(l.Backends[0]) {
				got := checkFrom(l.Balancer, target(address, port, tt.check))
				want(t, address.String(), got, tt.healthy, tt.reason)
			}
		})
	}
}

// A check ends with its context, and says nothing about the backend.
func TestEndedCheck(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	serve(t, l.Backends[0], 80, silent)
	load(t, l.Backends[0], `table inet t { chain c { type filter hook input priority 0
		tcp dport 81 drop
		icmp type echo-request drop
	}; }`)
	for _, tt := range []struct {
		port  uint16
		check farm.Health
	}{{80, a(farm.HealthHTTP)}, {81, a(farm.HealthTCP)}, {80, a(farm.HealthTLS)}, {81, a(farm.HealthICMP)}} {
		ctx, end := context.WithCancel(t.Context())
		begun := target(l.Backends[0].IP4[0], tt.port, tt.check)
		begun.Check.Timeout = 10 * patience
		result := make(chan Result)
		go l.Balancer.Do(func() error {
			result <- Run(ctx, begun)
			return nil
		})
		end()
		if got := <-result; !got.Unknown || got.Reason != "check ended before its result" {
			t.Errorf("%s: %+v", tt.check.Type, got)
		}
	}
}

func TestPrintable(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"plain", "plain"},
		{"a\x1b[31m\nb\u202e\xff", "a?[31m?b??"},
		{strings.Repeat("é", 20), "éééééé..."},
	} {
		if got := printable(tt.text, 16); got != tt.want {
			t.Errorf("%q became %q, want %q", tt.text, got, tt.want)
		}
	}
}
