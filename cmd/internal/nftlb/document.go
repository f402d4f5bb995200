package nftlb

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"farmc/cmd/internal/edit"
)

// A Loss is an attribute that farmc does not keep, or keeps with another meaning.
type Loss struct {
	Key     string // of nftlb, such as "backends.bck0.port"
	What    string
	Instead string
	Matters bool // connections are served in another way
}

// Marks says which marks reach the kernel.
type Marks int

// The choices of marks. A listing has a mark for each backend.
const (
	MarksAsked Marks = iota // marks that a request asked for
	MarksAll
	MarksNone
)

// A translation is a farm on its way to a document.
type translation struct {
	*State
	farm   *Farm
	marks  Marks
	mode   string
	out    edit.Document
	losses []Loss
}

// Document returns the document of a farm, and its losses. The compiler refuses the document of a farm without an
// address.
func (s *State) Document(f *Farm, marks Marks) (edit.Document, []Loss) {
	t := &translation{State: s, farm: f, marks: marks, mode: f.Values["mode"], out: edit.Document{}}
	t.setListen()
	t.setMode()
	t.setScheduler()
	t.setDevices()
	t.setPersistence()
	t.setLimits()
	t.setAccess()
	t.setLog()
	t.setBackends()
	return t.out, t.losses
}

// lose records a loss that matters.
func (t *translation) lose(key, what, instead string) {
	t.losses = append(t.losses, Loss{key, what, instead, true})
}

// note records a difference that does not matter to the service of connections.
func (t *translation) note(key, what, instead string) {
	t.losses = append(t.losses, Loss{key, what, instead, false})
}

// tracked reports whether connections are tracked and translated.
func (t *translation) tracked() bool { return t.mode == "snat" || t.mode == "dnat" }

// table returns a table of the document, which can be new.
func (t *translation) table(name string) map[string]any {
	if t.out[name] == nil {
		t.out[name] = map[string]any{}
	}
	return t.out[name].(map[string]any)
}

// setListen has one entry for each address.
func (t *translation) setListen() {
	var all []any
	for _, name := range t.farm.Addresses {
		a := t.Address(name).Values
		if !a.listens() {
			continue
		}
		if a["family"] == "inet" {
			t.note("family", "inet has no rule in nftlb; the address decides", "")
		}
		all = append(all, a.host()+":"+a.portList()+a.protocols())
	}
	switch len(all) {
	case 0:
	case 1:
		t.out["listen"] = all[0]
	default:
		t.out["listen"] = all
	}
}

// listens reports whether an address is complete. One without address and ports is on its way, or a key such as family
// has made it; each port of each address of a machine has to be asked for.
func (v Values) listens() bool { return v["ip-addr"] != "" || v["ports"] != "" }

// listens reports whether a farm is complete.
func (s *State) listens(f *Farm) bool {
	return slices.ContainsFunc(f.Addresses, func(name string) bool { return s.Address(name).Values.listens() })
}

// host is the address, in brackets if it is IPv6. Without one it is each address of the family.
func (v Values) host() string {
	text := v["ip-addr"]
	switch {
	case text == "" && v["family"] == "ipv6":
		return "[::]"
	case text == "":
		return "0.0.0.0"
	case strings.Contains(text, ":"):
		return "[" + text + "]"
	}
	return text
}

func (v Values) portList() string {
	if v["ports"] == "" {
		return "1-65535"
	}
	return strings.ReplaceAll(v["ports"], " ", "")
}

func (v Values) protocols() string {
	switch v["protocol"] {
	case "tcp":
		return ""
	case "all":
		return "/tcp,udp,sctp"
	}
	return "/" + v["protocol"]
}

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
		t.out["local-clients"] = false
	}
	t.setMark()
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

func (t *translation) setScheduler() {
	name := t.farm.Values["scheduler"]
	switch direct := t.mode == "dsr" || t.mode == "stlsdnat"; {
	case t.mode == "local", !direct && name == "weight":
	case direct && (name == "rr" || name == "weight"):
		t.note("scheduler", name+" picks a backend for each packet, and resets connections; farmc has maglev", "")
	case name == "rr":
		t.out["scheduler"] = "round-robin"
	case name == "symhash":
		t.out["scheduler"] = "symmetric-hash"
	case name == "hash":
		t.out["scheduler"] = "hash"
		if on := clientKeys(t.farm.Values["sched-param"]); len(on) > 0 {
			t.out["hash-on"] = on
		}
	}
}

// keyNames are farmc's names of the words that identify a client.
var keyNames = map[string]string{"srcip": "source-address", "dstip": "destination-address", "srcport": "source-port",
	"dstport": "destination-port", "srcmac": "source-mac", "dstmac": "destination-mac"}

func clientKeys(text string) (out []any) {
	for _, word := range found(clientWords, text) {
		out = append(out, keyNames[word])
	}
	return out
}

func (t *translation) setPersistence() {
	on := clientKeys(t.farm.Values["persistence"])
	if len(on) == 0 || t.mode == "local" {
		if len(t.farm.Sessions) > 0 {
			t.note("sessions", "have no effect without persistence", "")
		}
		return
	}
	p := t.table("persistence")
	p["on"] = on
	p["timeout"] = t.lifetime()
	if t.tracked() && t.out["flow-offload"] == nil {
		p["renew"] = "packet" // as nftlb does
	}
	t.setSessions(p)
}

// longest is the longest time that farmc remembers a client, in seconds.
const longest = 365 * 24 * 3600

func (t *translation) lifetime() string {
	seconds := t.farm.Values.Number("persist-ttl")
	if seconds == 0 || seconds > longest {
		t.note("persist-ttl", "farmc remembers a client for 365 days at most", "")
		seconds = longest
	}
	return strconv.Itoa(seconds) + "s"
}

func (t *translation) setSessions(p map[string]any) {
	fixed := map[string]any{}
	for _, s := range t.farm.Sessions {
		if b := t.farm.Backend(s.Backend); b != nil && b.Values["ip-addr"] != "" {
			fixed[s.Client] = s.Backend
		}
	}
	if len(fixed) > 0 {
		p["static"] = fixed
	}
}

// setBackends writes the backends. One without an address is left out.
func (t *translation) setBackends() {
	if t.mode == "local" {
		t.setMarkedSources()
		return
	}
	all := t.table("backends")
	weights := t.weights()
	for i, b := range t.farm.Backends {
		if b.Values["ip-addr"] == "" {
			t.note("backends."+b.Name, "has no address, so it serves nobody", "")
			continue
		}
		all[b.Name] = t.backend(b, weights[i])
	}
}

func (t *translation) backend(b *Backend, weight int) map[string]any {
	out := map[string]any{"address": b.Values["ip-addr"]}
	if t.hasPorts() {
		out["port"] = int64(b.Values.Number("port"))
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
		out["mac"] = mac
	}
	return out
}

// markOf returns the mark of a backend in the kernel. nftlb adds the bits of the farm's.
func (t *translation) markOf(b *Backend) (string, bool) {
	asked := b.Marked || t.marks == MarksAll
	return hex(t.farm.Values.mark() | b.Values.mark()), asked && t.marks != MarksNone && t.tracked()
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
	return !slices.ContainsFunc(t.farm.Backends, func(b *Backend) bool { return b.Values.Number("port") == 0 })
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
	for i := range out {
		out[i] /= divisor
		if most > mostWeight {
			out[i] = max(1, int(int64(out[i])*mostWeight/int64(most)))
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
