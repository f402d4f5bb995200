package haproxy

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"farmc/cmd/internal/convert"
)

// A front is a farm while it is read from a frontend and a backend, or from a listen section, which is both.
type front struct {
	*configuration
	proxy *proxy
	back  *proxy
	farm  *convert.Farm
	of    *proxy // the one that is read

	check   check
	servers []*server
	idle    [3]time.Duration // timeouts client, server and tunnel; 0: not set
	fin     [2]time.Duration // timeouts client-fin and server-fin; 0: not set
	devices []device
	hashing directive // hash-type; zero: none
	maxconn directive // zero: none
	sticks  sticking
	access  access
}

// read reads the directives that have an effect: of the frontend about clients, of the backend about servers.
func (f *front) read() {
	seen := map[string]bool{}
	for _, f.of = range []*proxy{f.proxy, f.back} {
		for _, d := range f.of.all() {
			if f.counts(d) && !seen[d.at.String()] {
				f.directive(d)
				seen[d.at.String()] = true
			}
		}
	}
}

// counts reports whether HAProxy heeds a directive of the proxy that is read. It ignores directives of the other side,
// which defaults can have.
func (f *front) counts(d directive) bool {
	first, both := d.word(0), d.word(0)+"/"+d.word(1)
	switch {
	case ofClients[first] || ofClients[both]:
		return f.of == f.proxy
	case ofServers[first] || ofServers[both]:
		return f.of == f.back
	}
	return true
}

// The directives that have an effect in frontends alone, and in backends alone. A listen section is both.
var (
	ofClients = convert.Words(`bind maxconn rate-limit use_backend monitor monitor-net monitor-uri capture redirect
		timeout/client timeout/clitimeout timeout/client-fin timeout/client-hs tcp-request/connection
		tcp-request/session`)
	ofServers = convert.Words(`server server-template default-server balance hash-type source stick dispatch transparent
		cookie persist force-persist ignore-persist use-server tcp-response http-check tcp-check external-check
		http-reuse http-send-name-header dynamic-cookie-key
		timeout/server timeout/srvtimeout timeout/server-fin timeout/tunnel timeout/connect timeout/queue timeout/check
		option/httpchk option/tcp-check option/ssl-hello-chk option/smtpchk option/redis-check option/mysql-check
		option/pgsql-check option/ldap-check option/external-check option/spop-check`)
)

// write writes the keys that need more than one directive.
func (f *front) write() {
	if f.farm.Get("listen") == nil {
		f.farm.Incomplete = true
		f.Lose(f.proxy.at, "the section has no bind that farmc can have", "write listen into the farm")
	}
	f.writeState()
	f.writeInterfaces()
	f.writeHashing()
	f.writeMaxconn()
	f.writePersistence()
	f.writeAccess()
	f.timeouts()
	f.writeServers()
}

// directive reads a directive of the frontend or of the backend.
func (f *front) directive(d directive) {
	switch name := d.word(0); {
	case d.variable && (strings.HasSuffix(name, "-check") || name == "option"):
		f.Lose(d.at, "the line has a variable of HAProxy's environment, so it is left out", "write its value")
	case name == "bind":
		f.bind(d)
	case name == "balance":
		f.balance(d)
	case name == "server" || name == "server-template" || name == "default-server":
		f.server(d)
	case name == "timeout":
		f.timeout(d)
	case name == "maxconn":
		f.maxconn = d
	case name == "source":
		f.source(d)
	case name == "stick":
		f.stick(d)
	case name == "tcp-request":
		f.request(d)
	case name == "rate-limit":
		f.rateLimit(d)
	case name == "option":
		f.option(d)
	case name == "hash-type":
		f.hashing = d
	case name == "no" || name == "default":
		f.negated(d)
	case f.check.directive(f.Result, d):
	case ofNoMeaning[name]:
		// farmc does this anyway, or it has no effect on connections.
	default:
		f.lost(d)
	}
}

// ofNoMeaning are directives without an effect on the way of connections.
var ofNoMeaning = convert.Words(`mode default_backend enabled disabled description id log log-format log-tag log-steps
	error-log-format errorfile errorloc errorloc302 errorloc303 errorfiles stats unique-id-format unique-id-header guid
	backlog bind-process fullconn retries retry-on compression clitcpka-cnt clitcpka-idle clitcpka-intvl srvtcpka-cnt
	srvtcpka-idle srvtcpka-intvl grace hash-balance-factor load-server-state-from-file acl stick-table`)

// lost reads the directives that farmc has no key for.
func (f *front) lost(d directive) {
	switch name := d.word(0); name {
	case "use_backend", "use-server", "monitor", "monitor-net", "monitor-uri", "force-persist", "ignore-persist":
		f.Lose(d.at, name+" chooses by conditions, and farmc by address and port alone",
			"make a farm for each address or port; see access in farms.d(5) for clients")
	case "tcp-response":
		f.Lose(d.at, name+" inspects connections", "leave it out")
	case "dispatch", "transparent", "http_proxy":
		f.Lose(d.at, "farmc has no "+name, "write backends")
	case "cookie", "http-request", "http-response", "http-after-response", "redirect", "capture", "reqadd",
		"dynamic-cookie-key", "http-reuse", "http-send-name-header", "filter", "email-alert", "declare", "persist":
		f.Lose(d.at, name+" is layer 7", "keep HAProxy for it")
	default:
		f.Lose(d.at, "unknown directive "+name, "look whether farmc has a key for it in farms.d(5)")
	}
}

// balance sets the scheduler.
func (f *front) balance(d directive) {
	set := func(scheduler string) { f.farm.Set(d.at, scheduler, "scheduler") }
	switch algorithm, _, _ := strings.Cut(d.word(1), "("); algorithm {
	case "roundrobin", "static-rr":
		set("round-robin")
	case "random":
		set("random")
	case "hash":
		f.balanceHash(d)
	case "source":
		set("hash")
		f.farm.Set(d.at, []string{"source-address"}, "hash-on")
	case "leastconn":
		set("least-connections")
		f.NoteLeastConnections(d.at, "balance leastconn")
	case "first":
		set("round-robin")
		f.Lose(d.at, "balance first counts connections to fill one server after the other; no scheduler of farmc does",
			"the farm has round-robin; give a backend the key connections to bound it")
	default:
		set("random")
		f.Lose(d.at, "balance "+algorithm+" is layer 7", "the farm has random; hash needs an address or a port")
	}
}

// balanceHash reads balance hash: of addresses and the client's port.
func (f *front) balanceHash(d directive) {
	key, known := map[string]string{"src": "source-address", "dst": "destination-address",
		"src_port": "source-port"}[d.word(2)]
	if !known {
		f.farm.Set(d.at, "random", "scheduler")
		f.Lose(d.at, "balance hash of this is layer 7", "the farm has random; hash needs an address or a port")
		return
	}
	f.farm.Set(d.at, "hash", "scheduler")
	f.farm.Set(d.at, []string{key}, "hash-on")
}

// writeState writes that the frontend or the backend is disabled.
func (f *front) writeState() {
	for _, p := range []*proxy{f.back, f.proxy} {
		var last directive
		for _, d := range p.all() {
			if d.word(0) == "disabled" || d.word(0) == "enabled" {
				last = d
			}
		}
		if last.word(0) == "disabled" {
			f.farm.Set(last.at, "down", "state")
		}
	}
}

// writeHashing turns the hash into a consistent one.
func (f *front) writeHashing() {
	if f.hashing.word(1) == "consistent" && f.farm.Get("scheduler") == "hash" {
		f.farm.Set(f.hashing.at, "maglev", "scheduler")
	}
}

// timeout notes the times of idle connections.
func (f *front) timeout(d directive) {
	t, err := readTime(d.word(2))
	if err != nil {
		f.Lose(d.at, "the timeout is not a time", "write a number with a unit, as in 30s; the farm has the default")
		return
	}
	switch d.word(1) {
	case "client", "clitimeout":
		f.idle[0] = t
	case "server", "srvtimeout":
		f.idle[1] = t
	case "tunnel":
		f.idle[2] = t
	case "client-fin":
		f.fin[0] = t
	case "server-fin":
		f.fin[1] = t
	case "check":
		f.check.timeout = t
	case "connect", "queue", "http-request", "http-keep-alive", "tarpit", "client-hs":
		// The client's own connection reaches the backend, so no connection waits here.
	default:
		f.Lose(d.at, "unknown timeout", "see [timeouts] in farms.d(5)")
	}
}

// timeouts writes the times after which an idle connection is forgotten: the tunnel's, or the shorter one of a side.
func (f *front) timeouts() {
	set := func(t time.Duration, key string) {
		if t > 0 {
			f.farm.Set(convert.Place{}, within(t, time.Second, 24*24*time.Hour), "timeouts", key)
		}
	}
	set(cmp.Or(f.idle[2], shorter(f.idle[0], f.idle[1])), "established")
	set(shorter(f.fin[0], f.fin[1]), "half-closed")
}

// shorter gives the shorter one of two times; 0 is no time.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// within writes a time in bounds, as farms have it.
func within(t, least, most time.Duration) string {
	t = max(least, min(t, most)).Round(time.Millisecond)
	if t%time.Second == 0 {
		return fmt.Sprintf("%ds", t/time.Second)
	}
	return fmt.Sprintf("%dms", t/time.Millisecond)
}

// units of times. Without a unit, times are milliseconds.
var units = map[string]time.Duration{"us": time.Microsecond, "": time.Millisecond, "ms": time.Millisecond,
	"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

func readTime(text string) (time.Duration, error) {
	digits := strings.TrimRight(text, "usmhd")
	n, err := strconv.ParseUint(digits, 10, 31)
	unit, known := units[text[len(digits):]]
	if err != nil || !known {
		return 0, fmt.Errorf("%q is not a time", text)
	}
	return time.Duration(n) * unit, nil
}

// writeMaxconn writes the bound of connections. 0 is no bound.
func (f *front) writeMaxconn() {
	d := f.maxconn
	n, err := strconv.ParseUint(d.word(1), 10, 31)
	switch {
	case d.words == nil:
	case err != nil:
		f.Lose(d.at, "maxconn is not a number", "write one; the farm has no bound")
	case n > 0:
		f.farm.Set(d.at, int(n), "limits", "connections")
		f.Note(d.at, "connections above maxconn wait in HAProxy", "farmc drops them, and clients try again")
	}
}

// rateLimit reads rate-limit sessions.
func (f *front) rateLimit(d directive) {
	n, err := strconv.ParseUint(d.word(2), 10, 31)
	if d.word(1) != "sessions" || err != nil || n == 0 {
		f.Lose(d.at, "rate-limit has no number of sessions", "write one; the farm has no limit")
		return
	}
	f.farm.Set(d.at, fmt.Sprintf("%d/second", n), "limits", "new")
	f.Note(d.at, "connections above rate-limit wait in HAProxy", "farmc drops them, and clients try again")
}

// source sets the address that backends see. With usesrc they see the client's.
func (f *front) source(d directive) {
	if d.word(2) == "usesrc" {
		f.farm.Set(d.at, "dnat", "mode")
		f.Note(d.at, "usesrc shows the client's address to backends", "mode dnat does; replies must pass this machine")
		return
	}
	a, known := readAddress(d.word(1))
	if !known || !a.ip.IsValid() || a.ip.IsUnspecified() {
		f.Lose(d.at, "source has no numeric address", "set source-address")
		return
	}
	f.farm.Set(d.at, a.ip.String(), "source-address")
	if len(d.words) > 2 {
		f.Lose(d.at, "source has options that farmc has no key for", "leave them out")
	}
}
