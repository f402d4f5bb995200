package nftlb

import (
	"net/netip"
	"slices"
	"strings"
)

// setMode sets the mode, and the keys of single modes.
func (t *translation) setMode() {
	if t.mode != "snat" {
		t.out["mode"] = strings.Replace(t.mode, "stlsdnat", "stateless", 1)
	}
	if t.farm.Values["state"] != "up" {
		t.out["state"] = "down"
	}
	switch source := t.farm.Values["source-addr"]; {
	case source == "":
	case t.mode == "snat":
		t.out["source-address"] = source
	case t.mode == "local":
		t.lose("source-addr", "connections of a program of this machine get no source without a mark",
			`sources = { "MARK" = "`+source+`" }, if the program marks its sockets`)
	}
	if helper := t.farm.Values["helper"]; helper != "none" {
		t.setHelper(helper)
	}
	if queue := t.farm.Values["queue"]; queue != "-1" && (t.tracked() || t.mode == "local") {
		t.out["queue"] = queue
	}
	if t.farm.Values["flow-offload"] == "on" && t.tracked() {
		t.setOffload()
	}
	if t.tracked() && t.farm.Values["intra-connect"] != "on" {
		t.leaveOutLocalClients()
	}
	t.setMark()
}

// leaveOutLocalClients has the farm serve other machines alone, unless it listens on a loopback address, which has no
// clients there.
func (t *translation) leaveOutLocalClients() {
	onLoopback := func(name string) bool {
		a, err := netip.ParseAddr(t.Address(name).Values["ip-addr"])
		return err == nil && a.IsLoopback()
	}
	if !slices.ContainsFunc(t.farm.Addresses, onLoopback) {
		t.out["local-clients"] = false
		return
	}
	t.note("virtual-addr", "a loopback address has clients on this machine alone; farmc serves them, without "+
		"intra-connect, too", "")
}

func (t *translation) setHelper(helper string) {
	switch {
	case !t.tracked():
		t.note("helper", "has no effect in mode "+t.mode, "")
	case t.misfit(t.farm):
		t.lose("helper", helper+" does not read the protocol of the farm", "another protocol, or no helper")
	case slices.ContainsFunc(t.farm.Addresses, func(a string) bool { return t.Address(a).Values["protocol"] == "all" }):
		t.lose("helper", helper+" reads one protocol, and the farm has all", "a farm with this protocol alone")
	default:
		t.out["helper"] = helper
	}
}

func (t *translation) setOffload() {
	devices := t.devices()
	if len(devices) == 0 {
		t.lose("flow-offload", "nftlb finds the interfaces by routes, and farmc has them by name",
			`flow-offload = ["eth0", "eth1"]`)
		return
	}
	t.out["flow-offload"] = texts(devices)
}

// devices are the interfaces that the farm names.
func (t *translation) devices() (out []string) {
	for _, key := range []string{"iface", "oface"} {
		if d := t.farm.Values[key]; d != "" && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

func texts(words []string) []any {
	out := []any{}
	for _, w := range words {
		out = append(out, w)
	}
	return out
}

// setMark sets the mark of the farm.
func (t *translation) setMark() {
	if t.farm.Values.mark() == 0 {
		return
	}
	switch {
	case t.mode == "local":
		t.note("mark", "local farms mark no connections", "")
	case t.tracked() && t.marks != MarksNone:
		t.out["mark"] = t.farm.Values["mark"]
	}
}

// setDevices names the interface where packets arrive. A listing has none.
func (t *translation) setDevices() {
	if t.mode != "dsr" && t.mode != "stlsdnat" {
		return
	}
	if device := t.farm.Values["iface"]; device != "" {
		t.out["interfaces"] = []any{device}
	} else if t.mode == "dsr" {
		t.lose("iface", "dsr needs the interface, and listings of nftlb have none", `interfaces = ["eth0"]`)
	}
}
