package keepalived

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"

	"farmc/cmd/internal/convert"
)

// checkDefaults are the settings of checks that a virtual server passes on to its real servers, and these to their
// checkers.
type checkDefaults struct {
	interval, timeout float64 // seconds
	retry             int     // -1: the checker's default
	between           float64 // seconds between retries; -1: the checker's default
	alpha, inhibit    bool
	host              string
}

func newCheckDefaults() checkDefaults {
	return checkDefaults{interval: 60, timeout: 5, retry: -1, between: -1}
}

// set reads a statement, and reports whether it is one of these settings.
func (c *checkDefaults) set(r *convert.Result, d *statement) bool {
	switch d.name() {
	case "delay_loop":
		setTimer(r, d, &c.interval, shortest)
	case "connect_timeout":
		setTimer(r, d, &c.timeout, shortest)
	case "delay_before_retry":
		setTimer(r, d, &c.between, 0)
	case "retry", "nb_get_retry":
		n, err := strconv.ParseUint(d.word(1), 10, 16)
		if err != nil {
			r.Lose(d.at, "retry has no number", "write one; the farm has the default")
			return true
		}
		c.retry = int(n)
	case "alpha":
		c.alpha = isTrue(d)
	case "inhibit_on_failure":
		c.inhibit = isTrue(d)
	case "virtualhost":
		c.host = d.word(1)
	case "warmup", "log_all_failures":
		// The first checks of farmc are spread by themselves, and its log has each change of a state.
	default:
		return false
	}
	return true
}

func isTrue(d *statement) bool {
	switch strings.ToLower(d.word(1)) {
	case "false", "no", "off":
		return false
	}
	return true
}

// shortest is the shortest time of keepalived that is one, in seconds.
const shortest = 1e-6

// setTimer reads a number of seconds, with decimals.
func setTimer(r *convert.Result, d *statement, to *float64, least float64) {
	n, err := strconv.ParseFloat(d.word(1), 64)
	if err != nil || !(n >= least && n <= math.MaxInt32) {
		r.Lose(d.at, d.name()+" is not a number of seconds", "write one; the farm has the default")
		return
	}
	*to = n
}

// isChecker reports whether a statement of a real server is a health check.
func isChecker(name string) bool {
	return name == "HTTP_GET" || name == "SSL_GET" || strings.HasSuffix(name, "_CHECK")
}

// A check is a checker while its statements are read.
type check struct {
	*configuration
	checkDefaults
	at     convert.Place
	name   string
	server *realServer
	keys   map[string]any // of [health]

	running float64 // seconds that a program may run; 0: not set
	dynamic bool    // the status of a program is a weight
}

// health gives the keys of [health] of a server. keepalived needs all its checks to succeed; farmc has one.
func (v *virtualServer) health(r *realServer, checkers []*statement) map[string]any {
	var keys map[string]any
	for _, s := range checkers {
		if keys != nil {
			v.Lose(s.at, "a backend has one check in farmc, so "+s.name()+" is left out",
				"write a program that checks all, with type exec")
			continue
		}
		c := &check{configuration: v.configuration, checkDefaults: r.checks, at: s.at, name: s.name(), server: r,
			keys: map[string]any{}}
		if c.read(s) {
			keys = c.keys
		}
	}
	return keys
}

// read reads a checker, and reports whether farmc has it.
func (c *check) read(s *statement) bool {
	t, known := checkers[s.name()]
	if !known {
		c.Lose(s.at, "farmc has no check "+s.name(), "choose a type of farmc-health(7); the backend has no check")
		return false
	}
	c.keys["type"] = t.kind
	if c.retry < 0 {
		c.retry = t.retry
	}
	if c.between < 0 {
		c.between = cmpPositive(t.between, c.interval)
	}
	for _, d := range s.within {
		if !c.set(c.Result, d) && !c.connection(d) && (t.statement == nil || !t.statement(c, d)) {
			c.unknown(d, "in "+s.name())
		}
	}
	if t.finish != nil && !t.finish(c) {
		return false
	}
	c.times()
	return true
}

// cmpPositive gives the first number that is above 0.
func cmpPositive(a, b float64) float64 {
	if a > 0 {
		return a
	}
	return b
}

// connection reads the settings of the connection that a check opens.
func (c *check) connection(d *statement) bool {
	switch d.name() {
	case "connect_port":
		n, err := strconv.ParseUint(d.word(1), 10, 16)
		if err != nil || n == 0 {
			c.Lose(d.at, "connect_port has no number from 1 to 65535",
				"write one; the farm has the port of the backend")
			return true
		}
		c.keys["port"] = int64(n)
	case "connect_ip":
		if d.word(1) != c.server.IP.String() {
			c.Lose(d.at, "farmc checks the address of the backend alone", "the farm checks it; leave connect_ip out")
		}
	case "bindto":
		if ip, err := netip.ParseAddr(d.word(1)); err == nil && ip.Zone() == "" {
			c.keys["source-address"] = ip.String()
			return true
		}
		c.Lose(d.at, "bindto has no numeric address", "leave it out")
	case "bind_port", "bind_if", "fwmark":
		c.Lose(d.at, "checks of farmc have no "+d.name(), "leave it out")
	default:
		return false
	}
	return true
}

// times writes the times of the check. keepalived looks at a file as soon as it changes, so farmc has its own interval.
func (c *check) times() {
	if c.keys["type"] != "file" {
		interval := c.bounded(c.interval, 0.1, 3600)
		c.keys["interval"] = duration(interval)
		if c.retry > 0 && c.between < interval {
			c.keys["fast-interval"] = duration(c.bounded(c.between, 0.1, 3600))
		}
		c.keys["timeout"] = duration(c.bounded(c.timeout, 0.01, 60))
	}
	c.keys["rise"] = int64(1)
	c.keys["fall"] = int64(c.Runs(c.at, "fall", c.retry+1))
	if c.alpha {
		c.keys["start"] = "down"
	}
	if c.inhibit {
		c.keys["on-fail"] = "drain"
	}
}

// bounded brings a time into the bounds of farmc, and says so.
func (c *check) bounded(seconds, least, most float64) float64 {
	within := max(least, min(seconds, most))
	if within != seconds {
		c.Note(c.at, fmt.Sprintf("a time of %g seconds is out of farmc's bounds", seconds),
			fmt.Sprintf("the farm has %s", duration(within)))
	}
	return within
}

// duration writes seconds as farms have them.
func duration(seconds float64) string {
	if seconds == math.Trunc(seconds) {
		return fmt.Sprintf("%ds", int(seconds))
	}
	return fmt.Sprintf("%dms", max(1, int(math.Round(seconds*1000))))
}

func sameHealth(a, b map[string]any) bool { return reflect.DeepEqual(a, b) }
