package farm

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Health says how a backend is checked, and how words of checkers about it are judged. The compiler knows its keys,
// and no rule depends on them.
type Health struct {
	Type HealthType

	// The target and the question of a check. Each field has an effect in some types only: see healthKeys.
	Port       uint16   // 0 without a port of its own; HealthOf has the backend's in its place
	Path       string   // of a URL
	Host       string   // in the request, with a port if it has one; "": the address
	Method     string   // GET, HEAD or OPTIONS
	Status     []Status // an answer of HTTP has one of them
	Body       string   // is in the body; "": any body
	BodyRegexp *regexp.Regexp
	TLSName    string // in the certificate, and asked for (SNI); "": the host without its port, or the address
	TLSCA      string // path of certificates that sign the server's; "": the machine's own
	TLSVerify  bool
	DNSName    string // asked for
	DNSType    string // of the record that is asked for
	DNSAnswer  string // the data of a record in the answer; "": any answer without an error
	Send       Payload
	Expect     Payload // is in the reply; empty: any reply, or none
	Program    string  // name of a file in ChecksDir
	File       string  // path of a file

	Interval     time.Duration // from the start of a check to the start of the next one
	FastInterval time.Duration // the same while the state is about to change
	Timeout      time.Duration // of one check
	Jitter       int           // percent of the interval by which a check starts earlier at most, at random
	Rise, Fall   int           // so many checks in a row change the state
	Source       Addresses     // that checks come from
	Start        State         // Up or Down: before the first checks have a result

	// The judgement of words. It is the same for words of farmc health and of other checkers.
	OnFail    State         // Down or Drain: of an unhealthy backend
	SlowStart time.Duration // in which the weight of a recovered backend rises; 0: at once
	Agree     int           // so many checkers say the same before it counts
	OnSilence Silence
	Panic     int // of a farm, in percent: all backends serve if a smaller share of them is healthy; 0: never
}

// ChecksDir is the directory of the programs of type exec. A farm names a file in it and no arguments.
const ChecksDir = "/etc/farmc/checks.d"

// A HealthType is a way to check a backend.
type HealthType string

// The types.
const (
	HealthNone  HealthType = "none" // farmc health does not check the backend
	HealthTCP   HealthType = "tcp"
	HealthHTTP  HealthType = "http"
	HealthHTTPS HealthType = "https"
	HealthTLS   HealthType = "tls"
	HealthUDP   HealthType = "udp"
	HealthDNS   HealthType = "dns"
	HealthICMP  HealthType = "icmp"
	HealthExec  HealthType = "exec"
	HealthFile  HealthType = "file"
)

// A Silence says what counts once the words of all checkers about a backend have lapsed.
type Silence string

// The meanings of silence.
const (
	SilenceKeep Silence = "keep" // the last words
	SilenceUp   Silence = "up"   // no word
)

// A Status is a range of HTTP status codes.
type Status struct{ First, Last int }

// String writes the range as a farm does.
func (s Status) String() string {
	if s.First == s.Last {
		return strconv.Itoa(s.First)
	}
	return strconv.Itoa(s.First) + "-" + strconv.Itoa(s.Last)
}

// Accepts reports whether an answer with the status code is one of a healthy backend.
func (h Health) Accepts(code int) bool {
	return slices.ContainsFunc(h.Status, func(s Status) bool { return s.First <= code && code <= s.Last })
}

// A Payload is the bytes of a datagram or of a stream.
type Payload string

// String quotes the bytes.
func (p Payload) String() string {
	if p == "" {
		return ""
	}
	return strconv.Quote(string(p))
}

// healthTimeout is the timeout of a check, if its interval is not shorter.
const healthTimeout = time.Second

// defaultHealth has the defaults of all keys, as the table of keys names them.
func defaultHealth() Health {
	return Health{Type: HealthNone, Path: "/", Method: "GET", Status: []Status{{200, 399}}, TLSVerify: true,
		DNSType: "A", Interval: 2 * time.Second, Jitter: 10, Rise: 2, Fall: 3, Start: Up, OnFail: Down, Agree: 1,
		OnSilence: SilenceKeep}
}

// HealthOf gives the check of a backend and the judgement of its words: the keys of its own [health], then those of the
// farm's, then defaults. Names in File are replaced.
func (f *Farm) HealthOf(b *Backend) Health {
	h := defaultHealth()
	switch {
	case b.Health != nil:
		h = b.Health.Health
	case f.Health != nil:
		h = *f.Health
	}
	if h.Port == 0 {
		h.Port = f.checkedPort(b)
	}
	if h.Timeout == 0 {
		h.Timeout = min(healthTimeout, h.Interval)
	}
	if h.FastInterval == 0 {
		h.FastInterval = h.Interval
	}
	h.File = strings.NewReplacer("{farm}", f.Name, "{backend}", b.Name).Replace(h.File)
	if f.Health != nil {
		h.Panic = f.Health.Panic
	}
	return h
}

// checkedPort is the port of a backend without a port for checks: its own, or its port for the only one that clients
// ask for. It is 0 if there are several.
func (f *Farm) checkedPort(b *Backend) uint16 {
	if port := f.onlyPort(); port != 0 {
		return b.PortFor(port)
	}
	return b.Port
}

// Checked reports whether farmc health checks a backend of the farm.
func (f *Farm) Checked() bool {
	return f.anyBackend(f.checks)
}

// Checks reports whether farmc health checks a backend.
func (f *Farm) Checks(backend string) bool {
	b := backendNamed(f, backend)
	return b != nil && f.checks(b)
}

func (f *Farm) checks(b *Backend) bool {
	if b.Health != nil {
		return b.Health.Type != HealthNone
	}
	return f.Health != nil && f.Health.Type != HealthNone
}

// A BackendHealth is the [health] of a backend: the farm's keys, with its own over them.
type BackendHealth struct {
	Health
	given []string // its own keys
}
