package nftlb

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// setBackends writes the backends. One without an address is left out.
func (t *translation) setBackends() {
	if t.mode == "local" {
		t.setMarkedSources()
		return
	}
	all := t.table("backends")
	weights := t.weights()
	for i, b := range t.farm.Backends {
		if text := b.Values["port"]; port(text) == 0 && text != "" && text != "0" {
			t.lose("backends."+b.Name+".port", "is no port, so no backend of the farm has one",
				"a number from 1 to 65535")
		}
		if b.Values["ip-addr"] == "" {
			t.note("backends."+b.Name, "has no address, so it serves nobody", "")
			continue
		}
		if other, is := t.same[b.Name]; is {
			t.lose("backends."+b.Name, "is the same server as backend "+other+", so it is left out",
				"another address or port, or the weight of both at "+other)
			continue
		}
		all[b.Name] = t.backend(b, weights[i])
	}
}

// sameServers finds backends with the address and port of another one, which nftlb takes, and farmc does not. One that
// is up stands for the others, else the first one. In the farm of a person they differ by keys that nftlb lacks.
func (t *translation) sameServers() map[string]string {
	if !t.farm.own {
		return nil
	}
	type server struct{ address, port string }
	standing, out, hasPorts := map[server]*Backend{}, map[string]string{}, t.hasPorts()
	for _, up := range []bool{true, false} {
		for _, b := range t.farm.Backends {
			if b.Values["ip-addr"] == "" || up != (b.Values["state"] == "up") {
				continue
			}
			at := server{address: b.address()}
			if hasPorts {
				at.port = b.Values["port"]
			}
			if other := standing[at]; other != nil {
				out[b.Name] = other.Name
			} else {
				standing[at] = b
			}
		}
	}
	return out
}

// address is the address in its shortest form.
func (b *Backend) address() string {
	if a, err := netip.ParseAddr(b.Values["ip-addr"]); err == nil {
		return a.String()
	}
	return b.Values["ip-addr"]
}

func (t *translation) backend(b *Backend, weight int) map[string]any {
	out := map[string]any{"address": b.Values["ip-addr"]}
	if t.hasPorts() {
		out["port"] = int64(port(b.Values["port"]))
	}
	if weight != 1 {
		out["weight"] = int64(weight)
	}
	if n := b.Values.Number("priority"); n != 1 {
		out["priority"] = int64(n)
	}
	switch b.Values["state"] {
	case "off":
		out["state"] = "drain"
	case "down":
		out["state"] = "down"
	}
	if source := b.Values["source-addr"]; source != "" && t.mode == "snat" {
		out["source-address"] = source
	}
	if n := b.Values.Number("est-connlimit"); n != 0 && t.tracked() {
		out["connections"] = int64(n)
	}
	if mark, has := t.markOf(b); has {
		out["mark"] = mark
	}
	if mac := b.Values["ether-addr"]; mac != "" && t.mode == "dsr" {
		t.setMAC(b.Name, out, mac)
	}
	return out
}

// setMAC sets the MAC address of a backend. Without one farmc asks for it by ARP.
func (t *translation) setMAC(backend string, out map[string]any, mac string) {
	hardware, err := net.ParseMAC(mac)
	if err == nil && hardware[0]&1 != 0 {
		t.lose("backends."+backend+".ether-addr", mac+" is the address of a group, not of one machine; it is left out",
			"the address of the backend, or none, if it answers ARP")
		return
	}
	out["mac"] = mac
}

// markOf returns the mark of a backend in the kernel. nftlb adds the bits of the farm's.
func (t *translation) markOf(b *Backend) (string, bool) {
	asked := b.Marked || t.marks == MarksAll
	if !asked || t.marks == MarksNone || !t.tracked() {
		return "", false
	}
	return hex(t.farm.Values.mark() | t.numberOf(b)), true
}

// markedFirst gives the backend of each address whose mark its other backends get: the first one with a mark that a
// request asked for, or else the first one.
func (t *translation) markedFirst() map[string]*Backend {
	first := map[string]*Backend{}
	for _, b := range t.farm.Backends {
		_, isOut := t.same[b.Name]
		if known := first[b.address()]; !isOut && (known == nil || b.Marked && !known.Marked) {
			first[b.address()] = b
		}
	}
	return first
}

// numberOf returns the mark of a backend within the farm. Connections to one address have one mark in farmc, so a
// number that no request asked for gives way.
func (t *translation) numberOf(b *Backend) uint64 {
	first := t.first[b.address()]
	if b.Marked || first == b {
		return b.Values.mark()
	}
	t.lose("backends."+b.Name+".mark", "has the address of backend "+first.Name+", so it gets its mark",
		"another address")
	return first.Values.mark()
}

// hasPorts reports whether ports of backends count: nftlb ignores them unless all backends have one.
func (t *translation) hasPorts() bool {
	if t.mode == "dsr" || len(t.farm.Backends) == 0 {
		return false
	}
	for _, name := range t.farm.Addresses {
		if t.Address(name).Values["protocol"] == "all" {
			return false
		}
	}
	return !slices.ContainsFunc(t.farm.Backends, func(b *Backend) bool { return port(b.Values["port"]) == 0 })
}

// mostWeight is the largest weight of farmc.
const mostWeight = 1000

// weights are the weights of the backends. Larger ones become smaller with the same shares, as far as that goes.
func (t *translation) weights() []int {
	out, divisor, most := make([]int, len(t.farm.Backends)), 0, 0
	for i, b := range t.farm.Backends {
		out[i] = b.Values.Number("weight")
		divisor, most = gcd(divisor, out[i]), max(most, out[i])
	}
	if most <= mostWeight {
		return out
	}
	most /= divisor
	for i, b := range t.farm.Backends {
		out[i] /= divisor
		if exact := int64(out[i]) * mostWeight; most > mostWeight {
			out[i] = max(1, int(exact/int64(most)))
			if int64(out[i])*int64(most) != exact {
				t.note("backends."+b.Name+".weight", fmt.Sprintf("becomes %d, and the largest weight %d: farmc has no "+
					"larger ones", out[i], mostWeight), "")
			}
		}
	}
	return out
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// setMarkedSources has the sources of a proxy of this machine, which marks its sockets for each backend.
func (t *translation) setMarkedSources() {
	for _, b := range t.farm.Backends {
		source := b.Values["source-addr"]
		if _, err := netip.ParseAddr(source); err == nil && b.Values.mark() != 0 {
			t.table("sources")[hex(t.farm.Values.mark()|b.Values.mark())] = source
		}
	}
}
