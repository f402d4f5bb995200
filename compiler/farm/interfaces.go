package farm

import (
	"net"
	"regexp"
	"slices"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// interfaceNaming matches the names of network interfaces that Linux and nft accept (IFNAMSIZ, dev_valid_name).
var interfaceNaming = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$`)

// NamesInterface reports whether a text can be the name of an interface in a script.
func NamesInterface(text string) bool { return interfaceNaming.MatchString(text) }

func readInterfaces(t *toml.Table, key string) []string {
	var out []string
	for _, w := range t.Words(key) {
		switch {
		case !interfaceNaming.MatchString(w.Text):
			t.Fault(w.Place, "", "%s: %q can't be the name of an interface", key, w.Text)
		case slices.Contains(out, w.Text):
			t.Fault(w.Place, "", "%s: %s stands here twice", key, w.Text)
		default:
			out = append(out, w.Text)
		}
	}
	return out
}

func readInterface(t *toml.Table, b *Backend) {
	name := t.Text("interface")
	if name != "" && !interfaceNaming.MatchString(name) {
		t.Fault(t.At("interface"), "", "interface: %q can't be the name of an interface", name)
	}
	b.Interface = name
}

func readMAC(t *toml.Table, b *Backend) {
	text := t.Text("mac")
	if text == "" {
		return
	}
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 {
		t.Fault(t.At("mac"), `mac = "02:00:00:00:00:01"`, "mac: %q is not an Ethernet address", text)
	}
	if err == nil && len(mac) == 6 && mac[0]&1 != 0 {
		t.Fault(t.At("mac"), "", "mac: %s is the address of a group, not of one machine", text)
	}
	b.MAC = mac.String()
}

// Without gives the farm without its absent interfaces. In modes that work at ingress, backends behind an absent
// interface are cut off. In other modes rules match the name of the interface, and need no device.
func (f *Farm) Without(absent func(device string) bool, told *diag.Diagnostics) *Farm {
	if !slices.ContainsFunc(f.namedInterfaces(), absent) {
		return f
	}
	left := *f
	f = &left
	f.description = ""
	f.Backends = slices.Clone(f.Backends)
	f.FlowOffload = f.present(f.FlowOffload, "flow-offload", absent, told)
	switch {
	case len(f.Interfaces) == 0:
		return f
	case !f.Mode.Untracked():
		f.absent = slices.DeleteFunc(slices.Clone(f.Interfaces), func(d string) bool { return !absent(d) })
		return f
	}
	here := f.present(f.Interfaces, "interfaces", absent, told)
	f.absent = slices.DeleteFunc(slices.Clone(f.Interfaces), func(d string) bool { return slices.Contains(here, d) })
	for i := range f.Backends {
		b := &f.Backends[i]
		device := f.InterfaceOf(*b)
		b.cutOff = device != "" && absent(device)
		if b.cutOff && !slices.Contains(f.absent, device) {
			*told = append(*told, f.absence(b.Place, "backend "+b.Name+": the interface "+device))
		}
	}
	return f
}

// namedInterfaces gives all interfaces that the files of the farm name.
func (f *Farm) namedInterfaces() []string {
	out := slices.Concat(f.FlowOffload, f.Interfaces)
	if len(f.Interfaces) == 0 {
		return out
	}
	for _, b := range f.Backends {
		if device := f.InterfaceOf(b); device != "" {
			out = append(out, device)
		}
	}
	return out
}

// present gives the devices of the key that exist, and warns of the absent ones.
func (f *Farm) present(devices []string, key string, absent func(device string) bool, told *diag.Diagnostics) []string {
	return slices.DeleteFunc(slices.Clone(devices), func(device string) bool {
		gone := absent(device)
		if gone {
			*told = append(*told, f.absence(f.at(key), key+": "+device))
		}
		return gone
	})
}

func (f *Farm) absence(at diag.Place, what string) diag.Diagnostic {
	return diag.Diagnostic{Severity: diag.Warning, Farm: f.Name, Place: at,
		Message: what + " does not exist: rules and backends that need it are left out"}
}

// Routed gives the farm as it takes packets in prerouting, on any interface.
func (f *Farm) Routed() *Farm {
	routed := *f
	routed.Interfaces, routed.absent, routed.Gateways, routed.description = nil, nil, nil, ""
	routed.Backends = slices.Clone(f.Backends)
	for i := range routed.Backends {
		routed.Backends[i].Interface = ""
	}
	return &routed
}

// InterfaceOf gives the interface that leads to the backend.
func (f *Farm) InterfaceOf(b Backend) string {
	if b.Interface == "" && len(f.Interfaces) > 0 {
		return f.Interfaces[0]
	}
	return b.Interface
}

// PresentInterfaces gives the interfaces of the farm that exist.
func (f *Farm) PresentInterfaces() []string {
	if len(f.absent) == 0 {
		return slices.Clip(f.Interfaces)
	}
	return slices.DeleteFunc(slices.Clone(f.Interfaces), func(d string) bool { return slices.Contains(f.absent, d) })
}
