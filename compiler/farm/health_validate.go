package farm

import (
	"slices"
	"strings"

	"farmc/compiler/toml"
)

// validateHealth checks the keys of [health] of a farm and of its backends against each other.
func validateHealth(t *toml.Table, f *Farm) {
	if !f.hasHealth() {
		return
	}
	if in := t.Sub("health"); in != nil && f.Health != nil {
		types := f.healthTypes()
		for i := range farmHealthKeys {
			refuseType(in, &farmHealthKeys[i].Key, f.Health.Type, types)
		}
		validateCheck(in, f.Health)
	}
	for _, b := range f.inFiles() {
		if in := b.healthTable(t); in != nil {
			for i := range backendHealthKeys {
				refuseType(in, &backendHealthKeys[i].Key, b.Health.Type, []HealthType{b.Health.Type})
			}
			validateCheck(in, &b.Health.Health)
		}
	}
	validatePorts(t, f)
	validateOnFail(t, f)
}

// healthTable gives the table [health] of a backend, or nil.
func (b *Backend) healthTable(t *toml.Table) *toml.Table {
	if b.Health == nil {
		return nil
	}
	return t.Sub("backends").Sub(b.Name).Sub("health")
}

func (f *Farm) hasHealth() bool {
	return f.Health != nil || slices.ContainsFunc(f.inFiles(), func(b *Backend) bool { return b.Health != nil })
}

// healthTypes are the types of all checks of a farm, with the farm's own.
func (f *Farm) healthTypes() []HealthType {
	out := []HealthType{f.Health.Type}
	for _, b := range f.inFiles() {
		if b.Health != nil {
			out = append(out, b.Health.Type)
		}
	}
	return out
}

func backendNamed(f *Farm, name string) *Backend {
	i, found := slices.BinarySearchFunc(f.Backends, name,
		func(b Backend, name string) int { return strings.Compare(b.Name, name) })
	if !found {
		return nil
	}
	return &f.Backends[i]
}

// refuseType refuses a key that has no effect on checks of these types.
func refuseType(in *toml.Table, k *Key, named HealthType, types []HealthType) {
	fits := func(t HealthType) bool { return t == "" || slices.Contains(k.Types, t) }
	if k.Types == nil || !in.Has(k.Name) || slices.ContainsFunc(types, fits) {
		return
	}
	in.Fault(in.At(k.Name), "it works with type "+strings.Join(texts(k.Types), ", "),
		"%s has no effect with type %s", k.Name, named)
}

// neededKeys are the keys that a type needs.
var neededKeys = []struct {
	of      HealthType
	name    string
	example string
	given   func(h *Health) bool
}{
	{HealthDNS, "dns-name", `dns-name = "www.example.com"`, func(h *Health) bool { return h.DNSName != "" }},
	{HealthExec, "program", `program = "check-mail"`, func(h *Health) bool { return h.Program != "" }},
	{HealthFile, "file", `file = "/run/app/{backend}.health"`, func(h *Health) bool { return h.File != "" }},
}

// validateCheck refuses a check that lacks a key, or has keys that contradict each other. Keys with faults of their own
// are in the table.
func validateCheck(in *toml.Table, h *Health) {
	for _, needed := range neededKeys {
		if h.Type == needed.of && !needed.given(h) && !in.Has(needed.name) && !in.Misspelt(needed.name) {
			in.Fault(ownPlace(in, in.At("type")), needed.example, "type %s needs %s", h.Type, needed.name)
		}
	}
	validateAgreement(in, h)
}

// validateAgreement refuses keys of a check that contradict each other.
func validateAgreement(in *toml.Table, h *Health) {
	if h.FastInterval > h.Interval && h.Interval > 0 {
		at := in.At("fast-interval")
		if !in.Has("fast-interval") {
			at = in.At("interval")
		}
		in.Fault(at, "", "fast-interval is %s, longer than the interval of %s",
			toml.FormatDuration(h.FastInterval), toml.FormatDuration(h.Interval))
	}
	if h.Body != "" && h.BodyRegexp != nil {
		in.Fault(in.At("body-regexp"), "one of them", "body and body-regexp can't be had together")
	}
	if h.Method == "HEAD" && (h.Body != "" || h.BodyRegexp != nil) && slices.Contains(withHTTP, h.Type) {
		in.Fault(in.At("method"), `method = "GET"`, "method HEAD gets no body, which body or body-regexp asks for")
	}
	if in.Has("tls-ca") && !h.TLSVerify && slices.Contains(withTLS, h.Type) {
		in.Fault(in.At("tls-ca"), "tls-verify = true", "tls-ca has no effect: tls-verify is false")
	}
}

// portlessTypes are the types with ports that also work without one.
var portlessTypes = []HealthType{HealthExec}

// validatePorts refuses checks without a port: the farm's clients ask for several, and each stays.
func validatePorts(t *toml.Table, f *Farm) {
	if len(f.Listen) == 0 {
		return
	}
	for _, b := range f.inFiles() {
		h := f.HealthOf(b)
		if h.Port != 0 || !slices.Contains(withPort, h.Type) || slices.Contains(portlessTypes, h.Type) {
			continue
		}
		at := b.Place
		if in := t.Sub("health"); in != nil && f.Health.Type == h.Type {
			at = in.Place
		}
		t.Fault(ownPlace(t, at), "port = 80 in [health]",
			"[health] needs a port for backend %s: the farm does not listen on one port alone", b.Name)
		return
	}
}

// validateOnFail warns of a state that acts as another one, at each place that sets it.
func validateOnFail(t *toml.Table, f *Farm) {
	if !f.Mode.Untracked() || f.Persistence != nil {
		return
	}
	warn := func(in *toml.Table, h *Health) {
		if in != nil && in.Has("on-fail") && h.OnFail == Drain {
			in.Warn(in.At("on-fail"),
				`on-fail: "drain" acts like "down" in mode %s: there are no tracked connections to keep`, f.Mode)
		}
	}
	warn(t.Sub("health"), f.Health)
	for _, b := range f.inFiles() {
		if in := b.healthTable(t); in != nil {
			warn(in, &b.Health.Health)
		}
	}
}
