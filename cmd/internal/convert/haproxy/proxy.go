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
	idle    [3]timer // timeouts client, server and tunnel
	fin     [2]timer // timeouts client-fin and server-fin
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
	if f.farm.Get("scheduler") == nil {
		f.farm.Set(convert.Place{}, roundRobin, "scheduler")
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
	log-format-sd error-log-format errorfile errorloc errorloc302 errorloc303 errorfiles http-error stats
	unique-id-format unique-id-header guid backlog bind-process fullconn retries retry-on compression clitcpka-cnt
	clitcpka-idle clitcpka-intvl srvtcpka-cnt srvtcpka-idle srvtcpka-intvl grace max-keep-alive-queue
	load-server-state-from-file server-state-file-name acl stick-table`)

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
		"dynamic-cookie-key", "http-reuse", "http-send-name-header", "filter", "declare", "persist", "use-fcgi-app":
		f.Lose(d.at, name+" is layer 7", "keep HAProxy for it")
	case "email-alert":
		f.Note(d.at, "farmc sends no mail", "read the events of the API: farmc-api(7)")
	case "hash-balance-factor":
		f.Lose(d.at, name+" bounds the connections of a server by the average of all",
			"give the backends the key connections")
	default:
		f.Lose(d.at, "unknown directive "+name, "look whether farmc has a key for it in farms.d(5)")
	}
}

// roundRobin is the scheduler of HAProxy's default.
const roundRobin = "round-robin"

// balance sets the scheduler.
func (f *front) balance(d directive) {
	set := func(scheduler string) { f.farm.Set(d.at, scheduler, "scheduler") }
	switch algorithm, argument, _ := strings.Cut(d.word(1), "("); algorithm {
	case "roundrobin", "static-rr":
		set(roundRobin)
	case "random":
		set("random")
		if draws := cmp.Or(strings.TrimSuffix(argument, ")"), "2"); draws != "1" {
			f.Note(d.at, "balance random draws "+draws+" servers, and takes the one with the least connections",
				"the farm has random; or set least-connections")
		}
	case "hash":
		f.balanceHash(d)
	case "source":
		set("hash")
		f.farm.Set(d.at, []string{"source-address"}, "hash-on")
	case "leastconn":
		set("least-connections")
		f.NoteLeastConnections(d.at, "balance leastconn")
	case "first":
		set(roundRobin)
		f.Lose(d.at, "balance first counts connections to fill one server after the other; no scheduler of farmc does",
			"the farm has round-robin; give a backend the key connections to bound it")
	case "uri", "url_param", "hdr":
		set(roundRobin)
		f.Note(d.at, "balance "+algorithm+" needs mode http, so HAProxy falls back to roundrobin",
			"the farm has round-robin")
	default:
		set(roundRobin)
		f.Lose(d.at, "balance "+algorithm+" is layer 7", "the farm has round-robin; hash needs an address or a port")
	}
}

// balanceHash reads balance hash: of addresses and ports.
func (f *front) balanceHash(d directive) {
	key, known := map[string]string{"src": "source-address", "dst": "destination-address",
		"src_port": "source-port", "dst_port": "destination-port"}[d.word(2)]
	if !known {
		f.farm.Set(d.at, roundRobin, "scheduler")
		f.Lose(d.at, "balance hash of this is layer 7", "the farm has round-robin; hash needs an address or a port")
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
	duration, err := readTime(d.word(2))
	t := timer{d.at, duration}
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
	case "connect":
		f.check.opening = t // of checks alone, as the client's own connection reaches the backend
	case "queue", "http-request", "http-keep-alive", "tarpit", "client-hs":
		// The client's own connection reaches the backend, so no connection waits here.
	default:
		f.Lose(d.at, "unknown timeout", "see [timeouts] in farms.d(5)")
	}
}

// timeouts writes the times after which an idle connection is forgotten: the tunnel's, or the shorter one of a side.
func (f *front) timeouts() {
	set := func(t timer, key string) {
		if t.time > 0 {
			f.farm.Set(convert.Place{}, within(t, time.Second, 24*24*time.Hour, f.Lose), "timeouts", key)
		}
	}
	tunnel := f.idle[2]
	if tunnel.time == 0 {
		tunnel = shorter(f.idle[0], f.idle[1])
	}
	set(tunnel, "established")
	set(shorter(f.fin[0], f.fin[1]), "half-closed")
}

// A timer is a time with its place.
type timer struct {
	at   convert.Place
	time time.Duration // 0: not set
}

// shorter gives the shorter one of two times that are set.
func shorter(a, b timer) timer {
	if a.time == 0 || 0 < b.time && b.time < a.time {
		return b
	}
	return a
}

// within writes a time in bounds, as farms have it. If the time is out of them, tell records that.
func within(t timer, least, most time.Duration, tell func(at convert.Place, what, instead string)) string {
	text := written(max(least, min(t.time, most)))
	if t.time < least || most < t.time {
		tell(t.at, "a time of "+written(t.time)+" is out of farmc's bounds", "the farm has "+text)
	}
	return text
}

// written writes a time as farms have it.
func written(t time.Duration) string {
	if t = t.Round(time.Millisecond); t%time.Second == 0 {
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
	if d.word(2) == "usesrc" && (d.word(3) == "client" || d.word(3) == "clientip") {
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
	f.losePorts(d, a)
	switch {
	case d.word(2) == "usesrc":
		f.Lose(d.at, "usesrc has an address of its own", "set source-address; the farm has the address before usesrc")
	case len(d.words) > 2:
		f.Lose(d.at, "source has options that farmc has no key for", "leave them out")
	}
}

// losePorts records that a source has ports.
func (f *front) losePorts(d directive, source address) {
	if source.ports != "" {
		f.Lose(d.at, "source has a port, and farmc keeps the port of the client where it is free", "leave it out")
	}
}
