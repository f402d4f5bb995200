package farm

import (
	"cmp"
	"slices"
	"time"

	"farmc/compiler/toml"
)

// The types that use a key of [health].
var (
	checking = []HealthType{HealthTCP, HealthHTTP, HealthHTTPS, HealthTLS, HealthUDP, HealthDNS, HealthICMP,
		HealthExec, HealthFile}
	withPort  = []HealthType{HealthTCP, HealthHTTP, HealthHTTPS, HealthTLS, HealthUDP, HealthDNS, HealthExec}
	onNetwork = []HealthType{HealthTCP, HealthHTTP, HealthHTTPS, HealthTLS, HealthUDP, HealthDNS, HealthICMP}
	withHTTP  = []HealthType{HealthHTTP, HealthHTTPS}
	withTLS   = []HealthType{HealthHTTPS, HealthTLS}
	withBytes = []HealthType{HealthTCP, HealthTLS, HealthUDP}
	onlyDNS   = []HealthType{HealthDNS}
)

// backendHealthKeys are the keys of [health] of a farm and of its backends.
var backendHealthKeys = []key[*Health]{
	{Key{Name: "type", Default: "none", Example: `"http"`, Options: healthTypes()},
		choice(func(h *Health) *HealthType { return &h.Type })},
	{Key{Name: "port", Least: 1, Most: 65535, Absent: "the backend's", Types: withPort, Example: "8080"},
		number(func(h *Health) *uint16 { return &h.Port })},
	{Key{Name: "path", Default: "/", Types: withHTTP, Example: `"/healthz"`},
		written(readURLPath, func(h *Health) *string { return &h.Path })},
	{Key{Name: "host", Absent: "the backend's address", Types: withHTTP, Example: `"www.example.com"`},
		written(readHost, func(h *Health) *string { return &h.Host })},
	{Key{Name: "method", Default: "GET", Options: []string{"GET", "HEAD", "OPTIONS"}, Types: withHTTP,
		Example: `"HEAD"`},
		choice(func(h *Health) *string { return &h.Method })},
	{Key{Name: "status", Default: "200-399", Types: withHTTP, Example: `[200, "300-399"]`},
		value[*Health]{kind: StatusType, read: readStatus, describe: describeStatus}},
	{Key{Name: "body", Absent: "any", Types: withHTTP, Example: `"OK"`},
		quotedText(readLine, func(h *Health) *string { return &h.Body })},
	{Key{Name: "body-regexp", Absent: "any", Types: withHTTP, Example: `"^ready: [0-9]+$"`},
		value[*Health]{kind: TextType, read: readBodyRegexp, describe: describeBodyRegexp}},
	{Key{Name: "tls-name", Absent: "the host", Types: withTLS, Example: `"www.example.com"`},
		written(readDNSName, func(h *Health) *string { return &h.TLSName })},
	{Key{Name: "tls-ca", Absent: "those of this machine", Types: withTLS, Example: `"/etc/farmc/ca.pem"`},
		written(readFilePath, func(h *Health) *string { return &h.TLSCA })},
	{Key{Name: "tls-verify", Default: "true", Types: withTLS, Example: "false"},
		flag(func(h *Health) *bool { return &h.TLSVerify })},
	{Key{Name: "dns-name", Absent: "none", Types: onlyDNS, Example: `"www.example.com"`},
		written(readDNSName, func(h *Health) *string { return &h.DNSName })},
	{Key{Name: "dns-type", Default: "A", Types: onlyDNS, Example: `"AAAA"`,
		Options: []string{"A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"}},
		choice(func(h *Health) *string { return &h.DNSType })},
	{Key{Name: "dns-answer", Absent: "any", Types: onlyDNS, Example: `"192.0.2.99"`},
		quotedText(readLine, func(h *Health) *string { return &h.DNSAnswer })},
	{Key{Name: "send", Absent: "nothing", Types: withBytes, Example: `"PING\r\n"`},
		text(TextType, readPayload, func(h *Health) *Payload { return &h.Send })},
	{Key{Name: "expect", Absent: "any", Types: withBytes, Example: `"+PONG"`},
		text(TextType, readPayload, func(h *Health) *Payload { return &h.Expect })},
	{Key{Name: "program", Absent: "none", Types: []HealthType{HealthExec}, Example: `"check-mail"`},
		written(readProgram, func(h *Health) *string { return &h.Program })},
	{Key{Name: "file", Absent: "none", Types: []HealthType{HealthFile}, Example: `"/run/app/{backend}.health"`},
		written(readFilePath, func(h *Health) *string { return &h.File })},
	{Key{Name: "interval", Default: "2s", Types: checking, Example: `"5s"`},
		duration(shortestInterval, longestInterval, func(h *Health) *time.Duration { return &h.Interval })},
	{Key{Name: "fast-interval", Absent: "the interval", Types: checking, Example: `"1s"`},
		duration(shortestInterval, longestInterval, func(h *Health) *time.Duration { return &h.FastInterval })},
	{Key{Name: "timeout", Absent: "1s, or a shorter interval", Types: checking, Example: `"500ms"`},
		duration(shortestTimeout, longestTimeout, func(h *Health) *time.Duration { return &h.Timeout })},
	{Key{Name: "jitter", Least: 0, Most: 50, Default: "10%", Types: checking, Example: `"25%"`},
		percent(func(h *Health) *int { return &h.Jitter })},
	{Key{Name: "rise", Least: 1, Most: 100, Default: "2", Types: checking, Example: "3"},
		number(func(h *Health) *int { return &h.Rise })},
	{Key{Name: "fall", Least: 1, Most: 100, Default: "3", Types: checking, Example: "2"},
		number(func(h *Health) *int { return &h.Fall })},
	{Key{Name: "source-address", Absent: "by the route", Types: onNetwork, Example: `"10.2.0.1"`},
		text(ListType, readAddresses, func(h *Health) *Addresses { return &h.Source })},
	{Key{Name: "start", Default: "up", Options: []string{"up", "down"}, Types: checking, Example: `"down"`},
		choice(func(h *Health) *State { return &h.Start })},
	{Key{Name: "on-fail", Default: "down", Options: []string{"down", "drain"}, Example: `"drain"`},
		choice(func(h *Health) *State { return &h.OnFail })},
	{Key{Name: "slow-start", Absent: "none", Example: `"1m"`},
		duration(time.Second, longestSlowStart, func(h *Health) *time.Duration { return &h.SlowStart })},
	{Key{Name: "agree", Least: 1, Most: maxAgree, Default: "1", Example: "2"},
		number(func(h *Health) *int { return &h.Agree })},
	{Key{Name: "on-silence", Default: "keep", Options: []string{"keep", "up"}, Example: `"up"`},
		choice(func(h *Health) *Silence { return &h.OnSilence })},
}

// farmHealthKeys are the keys of [health] of a farm.
var farmHealthKeys = ofFarm(append(slices.Clone(backendHealthKeys),
	key[*Health]{Key{Name: "panic", Least: 1, Most: 100, Absent: "never", Example: `"30%"`},
		percent(func(h *Health) *int { return &h.Panic })}))

// Bounds of durations. A check more than ten times a second is a flood.
const (
	shortestInterval = 100 * time.Millisecond
	longestInterval  = time.Hour
	shortestTimeout  = 10 * time.Millisecond
	longestTimeout   = time.Minute
	longestSlowStart = time.Hour
)

// maxAgree is the number of checkers that can have a word about a backend.
const maxAgree = 16

func healthTypes() []string { return append(texts(checking), string(HealthNone)) }

// ofFarm gives keys of the [health] of a farm. They are described as "health.type" and so on.
func ofFarm(keys []key[*Health]) []key[*Farm] {
	out := make([]key[*Farm], len(keys))
	for i, k := range keys {
		out[i] = key[*Farm]{k.Key, value[*Farm]{
			kind: k.kind,
			read: func(about *Key, t *toml.Table, f *Farm) { k.read(about, t, f.Health) },
			describe: func(about *Key, f *Farm) string {
				if f.Health == nil {
					return ""
				}
				return k.describe(about, f.Health)
			},
			fact: "health." + k.Name,
		}}
	}
	return out
}

func readHealth(t *toml.Table, f *Farm) {
	in := t.Sub("health")
	if in == nil {
		return
	}
	health := defaultHealth()
	f.Health = &health
	readKeys(in, farmHealthKeys, f)
	if len(in.Keys()) == 0 {
		in.Fault(in.Place, `type = "tcp"`, "[health] has no type, so nothing would be checked")
	}
}

// readBackendHealth reads the [health] of a backend over the farm's. Keys that the backend does not have stay.
func readBackendHealth(t *toml.Table, b *Backend, ofFarm *Health) {
	in := t.Sub("health")
	if in == nil {
		return
	}
	b.Health = &BackendHealth{Health: defaultHealth(), given: in.Keys()}
	if ofFarm != nil {
		b.Health.Health = *ofFarm
	}
	b.Health.dropOtherBody(in)
	for i := range backendHealthKeys {
		if k := &backendHealthKeys[i]; in.Has(k.Name) {
			k.read(&k.Key, in, &b.Health.Health)
		}
	}
}

// dropOtherBody drops the farm's expectation of a body, if the backend has one of its own.
func (h *BackendHealth) dropOtherBody(in *toml.Table) {
	if in.Has("body") || in.Has("body-regexp") {
		h.Body, h.BodyRegexp = "", nil
	}
}

// describeBackendHealth adds the own keys of a backend to its description, also at their defaults: the farm can have
// others.
func describeBackendHealth(about map[string]string, b *Backend) {
	if b.Health == nil {
		return
	}
	for i := range backendHealthKeys {
		if k := &backendHealthKeys[i]; slices.Contains(b.Health.given, k.Name) {
			about["health."+k.Name] = cmp.Or(k.describe(&k.Key, &b.Health.Health), k.Default, "unset")
		}
	}
}

// withHealthDefaults adds the words that Changes has for keys of [health] that a backend does not have.
func withHealthDefaults(words map[string]string) map[string]string {
	for _, k := range backendHealthKeys {
		words["health."+k.Name] = "as the farm's"
	}
	return words
}
