package haproxy

import (
	"cmp"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"farmc/cmd/internal/convert"
)

// A check is the check of a backend section: its option, and lines that begin with http-check or tcp-check.
type check struct {
	kind     string            // the option, without "option"; "": a connection
	keys     keysByKind        // of [health], without the times
	timeout  timer             // timeout check
	opening  timer             // timeout connect
	defaults map[string]string // default-server

	connected bool // tcp-check connect was read
	cut       bool // the lines of tcp-check that are left do not count
}

// keysByKind has the keys of each option, as the last option counts, with its lines alone.
type keysByKind map[string]map[string]any

func (k *keysByKind) set(kind, key string, value any) {
	if *k == nil {
		*k = keysByKind{}
	}
	if (*k)[kind] == nil {
		(*k)[kind] = map[string]any{}
	}
	(*k)[kind][key] = value
}

// setHTTP sets a key of the check httpchk.
func (c *check) setHTTP(key string, value any) { c.keys.set("httpchk", key, value) }

// setTCP sets a key of the check tcp-check.
func (c *check) setTCP(key string, value any) { c.keys.set("tcp-check", key, value) }

// option reads an option of a proxy.
func (f *front) option(d directive) {
	switch name := d.word(1); {
	case name == "httpchk":
		f.check.httpchk(f.Result, d)
	case name == "tcp-check":
		f.check.kind = name
	case name == "ssl-hello-chk":
		f.check.kind = name
		f.check.keys.set(name, "tls-verify", false)
	case name == "smtpchk":
		f.check.kind = name
		f.check.keys.set(name, "expect", "220")
	case name == "redis-check":
		f.check.kind = name
		f.check.keys.set(name, "send", "*1\r\n$4\r\nPING\r\n")
		f.check.keys.set(name, "expect", "+PONG")
	case name == "transparent":
		f.Lose(d.at, "farmc has no option transparent", "write backends")
	case name == "mysql-check" || name == "pgsql-check" || name == "ldap-check" || name == "external-check" ||
		name == "spop-check":
		f.check.kind = ""
		f.Lose(d.at, "farmc has no "+name, "write a program with type exec; the farm checks by a connection")
	case isOfNoMeaning(name):
	default:
		f.Lose(d.at, "unknown option "+name, "look whether farmc has a key for it in farms.d(5)")
	}
}

// optionsOfNoMeaning are options without an effect on the way of connections.
var optionsOfNoMeaning = convert.Words(`tcplog dontlognull dontlog-normal logasap log-separate-errors log-health-checks
	socket-stats redispatch clitcpka srvtcpka tcpka tcp-smart-accept tcp-smart-connect splice-auto splice-request
	splice-response nolinger independent-streams contstats allbackups abortonclose persist prefer-last-server checkcache
	forwardfor originalto forceclose idle-close-on-response accept-invalid-http-request accept-invalid-http-response
	disable-h2-upgrade h1-case-adjust-bogus-client h1-case-adjust-bogus-server`)

func isOfNoMeaning(option string) bool {
	return optionsOfNoMeaning[option] || strings.HasPrefix(option, "http")
}

// negated reads "no" and "default" with log or an option. HAProxy has no other ones, and none with an option of checks.
func (f *front) negated(d directive) {
	if d.word(1) != "log" && !(d.word(1) == "option" && isOfNoMeaning(d.word(2))) {
		f.Lose(d.at, "unknown directive "+strings.Join(d.words[:min(2, len(d.words))], " "), "leave it out")
	}
}

// httpchk reads option httpchk [METHOD] [URI] [VERSION].
func (c *check) httpchk(r *convert.Result, d directive) {
	c.kind = "httpchk"
	c.setHTTP("method", "OPTIONS")
	switch len(d.words) {
	case 2:
		c.setHTTP("path", "/")
	case 3:
		c.path(r, d, d.word(2))
	default:
		c.method(r, d, d.word(2))
		c.path(r, d, d.word(3))
		c.headers(r, d)
	}
}

// headers reads the headers that stand behind the version, in one word with it or in several.
func (c *check) headers(r *convert.Result, d directive) {
	for i, line := range strings.Split(strings.Join(d.words[min(4, len(d.words)):], " "), "\r\n") {
		if name, value, _ := strings.Cut(line, ":"); i > 0 && name != "" {
			c.header(r, d, name, strings.TrimSpace(value))
		}
	}
}

// header sets the header Host.
func (c *check) header(r *convert.Result, d directive, name, value string) {
	if !strings.EqualFold(name, "host") {
		r.Lose(d.at, "checks of farmc send no header but Host", "leave it out")
		return
	}
	c.setHTTP("host", value)
}

// path sets the path of a request. OPTIONS has a path without a slash, too.
func (c *check) path(r *convert.Result, d directive, text string) {
	if !strings.HasPrefix(text, "/") {
		r.Note(d.at, "checks of farmc ask for a path that begins with a slash", "the farm has /")
		text = "/"
	}
	c.setHTTP("path", text)
}

// method sets the method of a request.
func (c *check) method(r *convert.Result, d directive, text string) {
	if text != "GET" && text != "HEAD" && text != "OPTIONS" {
		r.Lose(d.at, "checks of farmc have the methods GET, HEAD and OPTIONS", "the farm has GET")
		text = "GET"
	}
	c.setHTTP("method", text)
}

// directive reads lines of http-check and tcp-check, and reports whether a line is one.
func (c *check) directive(r *convert.Result, d directive) bool {
	switch d.word(0) {
	case "http-check":
		c.httpCheck(r, d)
	case "tcp-check":
		c.tcpCheck(r, d)
	case "external-check":
	default:
		return false
	}
	return true
}

var statusText = regexp.MustCompile(`^[1-5][0-9]{2}(-[1-5][0-9]{2})?(,[1-5][0-9]{2}(-[1-5][0-9]{2})?)*$`)

// httpCheck reads http-check send and http-check expect.
func (c *check) httpCheck(r *convert.Result, d directive) {
	switch {
	case d.word(1) == "send":
		c.httpSend(r, d)
	case d.word(1) == "expect" && d.word(2) == "status" && statusText.MatchString(d.word(3)):
		var codes []string
		codes = append(codes, strings.Split(d.word(3), ",")...)
		c.setHTTP("status", codes)
	case d.word(1) == "expect" && d.word(2) == "string":
		c.text("body", d.word(3))
	case d.word(1) == "expect" && d.word(2) == "rstring" && isRegexp(d.word(3)):
		c.text("body-regexp", d.word(3))
	case d.word(1) == "comment":
	case d.word(1) == "disable-on-404":
		r.Lose(d.at, "farmc drains no backend by a status", "let a program with type exec end with 2 for it")
	default:
		r.Lose(d.at, "farmc has no such http-check", "see [health] in farms.d(5)")
	}
}

// text sets a text to expect. Without a line about the status any one is good.
func (c *check) text(key, value string) {
	c.setHTTP(key, value)
	if c.keys["httpchk"]["status"] == nil {
		c.setHTTP("status", []string{"100-599"})
	}
}

func isRegexp(text string) bool {
	_, err := regexp.Compile(text)
	return err == nil
}

// httpSend reads http-check send meth METHOD uri URI hdr Host NAME.
func (c *check) httpSend(r *convert.Result, d directive) {
	for i := 2; i < len(d.words); i += 2 {
		switch value := d.word(i + 1); d.words[i] {
		case "meth":
			c.method(r, d, value)
		case "uri":
			c.path(r, d, value)
		case "ver":
		case "hdr":
			c.header(r, d, value, d.word(i+2))
			i++
		default:
			r.Lose(d.at, "farmc has no such http-check send", "see [health] in farms.d(5)")
		}
	}
}

// types are the types of [health].
var types = map[string]string{"": "tcp", "tcp-check": "tcp", "httpchk": "http", "ssl-hello-chk": "tls",
	"smtpchk": "tcp", "redis-check": "tcp"}

// checkTLS makes a check one over TLS.
func (f *front) checkTLS(s *server, keys map[string]any) {
	if over := map[string]string{"http": "https", "tcp": "tls"}[keys["type"].(string)]; over != "" {
		keys["type"] = over
	}
	asked, verified, verifies := s.options["check-sni"], s.options["verifyhost"], s.options["verify"] != "none"
	if !verifies {
		keys["tls-verify"], verified = false, ""
	}
	if name := cmp.Or(asked, verified); name != "" {
		keys["tls-name"] = name
	}
	switch {
	case asked == "" && verified == "" && verifies:
		f.Note(s.at, "without verifyhost HAProxy takes a certificate of any name",
			"farmc takes one of tls-name, by default the host; set it, or tls-verify = false")
	case asked == "" && verified == "" && keys["host"] != nil:
		f.Lose(s.at, "without check-sni HAProxy asks for no name in TLS, and farmc for the host",
			"leave it as it is if the server takes the name")
	case asked != "" && verified != "" && asked != verified:
		f.Lose(s.at, "verifyhost is another name than check-sni", "tls-name is both; the farm has that of check-sni")
	}
	if path := s.options["ca-file"]; strings.HasPrefix(path, "/") {
		keys["tls-ca"] = path
	}
}

// writeChecks writes the checks: as the farm's if all servers have the same, or else for each backend.
func (f *front) writeChecks(checked []*server, names map[*server]string) {
	if len(checked) == 0 {
		return
	}
	first, same := f.health(checked[0]), len(checked) == len(f.servers)
	for _, s := range checked {
		same = same && reflect.DeepEqual(f.health(s), first)
	}
	for key, value := range first {
		if same {
			f.farm.Set(convert.Place{}, value, "health", key)
		}
	}
	for _, s := range checked {
		for key, value := range f.health(s) {
			if !same {
				f.farm.Set(convert.Place{}, value, "backends", names[s], "health", key)
			}
		}
	}
}

// health gives the keys of [health] of a server. HAProxy's defaults are farmc's: 2s, rise 2, fall 3.
func (f *front) health(s *server) map[string]any {
	keys := map[string]any{"type": types[f.check.kind]}
	for key, value := range f.check.keys[f.check.kind] {
		keys[key] = value
	}
	if s.has("check-ssl") || s.has("ssl") && s.options["port"] == "" && !s.has("no-check-ssl") {
		f.checkTLS(s, keys)
	}
	if s.options["init-state"] == "down" || s.options["init-state"] == "fully-down" {
		keys["start"] = "down"
	}
	if f.sticks.first.words == nil && s.options["on-marked-down"] != "shutdown-sessions" {
		keys["on-fail"] = "drain"
	}
	for option, key := range map[string]string{"inter": "interval", "fastinter": "fast-interval"} {
		if t := s.timer(option); t.time > 0 {
			keys[key] = within(t, 100*time.Millisecond, time.Hour, f.Note)
		}
	}
	for _, key := range []string{"rise", "fall", "port"} {
		n, err := strconv.Atoi(s.options[key])
		switch {
		case err != nil || n <= 0:
		case key == "port":
			keys[key] = int64(n)
		default:
			keys[key] = int64(f.Runs(s.at, key, n))
		}
	}
	if t := f.checkTimeout(s); t.time != min(time.Second, s.interval().time) {
		keys["timeout"] = within(t, 10*time.Millisecond, time.Minute, f.Note)
	}
	if t := s.timer("slowstart"); t.time > 0 {
		keys["slow-start"] = within(t, time.Second, time.Hour, f.Note)
	}
	return keys
}

// checkTimeout is the time of a whole check: the interval, or timeout check and the time to connect, the shorter one of
// timeout connect and the interval.
func (f *front) checkTimeout(s *server) timer {
	t := f.check.timeout
	if t.time == 0 {
		return s.interval()
	}
	return timer{t.at, t.time + shorter(f.check.opening, s.interval()).time}
}

// interval is the time from check to check, 2 seconds by default.
func (s *server) interval() timer {
	if t := s.timer("inter"); t.time > 0 {
		return t
	}
	return timer{s.at, 2 * time.Second}
}
