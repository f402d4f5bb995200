package nftlb

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"farmc/cmd/internal/edit"
	"farmc/compiler/toml"
)

// derived returns the farm that a document describes, and its addresses. Keys that nftlb does not have are left out.
func derived(name string, d edit.Document) (*Farm, []*Address) {
	f := &Farm{Name: name, Values: farmKind.presets()}
	text := func(from, to string, names map[string]string) {
		if value, has := d[from]; has {
			word := fmt.Sprint(value)
			if other, known := names[word]; known {
				word = other
			}
			f.Values[to] = word
		}
	}
	text("mode", "mode", map[string]string{"stateless": "stlsdnat"})
	text("state", "state", nil)
	text("source-address", "source-addr", nil)
	text("helper", "helper", nil)
	text("queue", "queue", nil)
	f.Values["scheduler"] = "weight"
	text("scheduler", "scheduler", map[string]string{"random": "weight", "maglev": "weight", "round-robin": "rr",
		"least-connections": "weight", "symmetric-hash": "symhash"})
	if f.Values["scheduler"] == "hash" {
		f.Values["sched-param"] = clientText(d["hash-on"], "srcip ")
	}
	if mark, has := d["mark"].(string); has {
		number, _, _ := strings.Cut(mark, "/")
		f.Values["mark"], _ = aMark(nil, "", number)
	}
	if d["local-clients"] != false && f.tracked() {
		f.Values["intra-connect"] = "on"
	}
	if devices := words(d["flow-offload"]); len(devices) > 0 {
		f.Values["flow-offload"], f.Values["iface"] = "on", devices[0]
	}
	if devices := words(d["interfaces"]); len(devices) > 0 {
		f.Values["iface"] = devices[0]
	}
	f.derivePersistence(table(d, "persistence"))
	f.deriveLimits(table(d, "limits"))
	f.deriveAccess(table(d, "access"))
	f.deriveLog(table(d, "log"))
	f.deriveBackends(table(d, "backends"))
	return f, f.deriveAddresses(d["listen"])
}

func (f *Farm) tracked() bool { return f.Values["mode"] == "snat" || f.Values["mode"] == "dnat" }

func table(d map[string]any, key string) map[string]any {
	t, _ := d[key].(map[string]any)
	return t
}

// words returns a list of strings, for which a single one can stand.
func words(value any) (out []string) {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		for _, item := range value {
			out = append(out, fmt.Sprint(item))
		}
	}
	return out
}

// clientText writes keys that identify a client as nftlb lists them.
func clientText(value any, otherwise string) string {
	text, all := "", words(value)
	for _, word := range clientWords {
		if slices.Contains(all, keyNames[word]) {
			text += word + " "
		}
	}
	if text == "" {
		return otherwise
	}
	return text
}

func (f *Farm) derivePersistence(p map[string]any) {
	if p == nil {
		return
	}
	f.Values["persistence"] = clientText(p["on"], "srcip ")
	if text, has := p["timeout"].(string); has {
		d, _ := toml.ParseDuration(text)
		f.Values["persist-ttl"] = strconv.Itoa(int(d.Seconds()))
	}
	static := table(p, "static")
	for _, client := range sortedKeys(static) {
		f.Sessions = append(f.Sessions, Session{client, fmt.Sprint(static[client])})
	}
}

func sortedKeys(t map[string]any) (out []string) {
	for key := range t {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

func (f *Farm) deriveLimits(l map[string]any) {
	for from, to := range map[string]string{"new-per-client": "new-rtlimit", "resets-per-client": "rst-rtlimit"} {
		value := l[from]
		if t, isTable := value.(map[string]any); isTable {
			f.Values[to+"-burst"] = fmt.Sprint(t["burst"])
			value = t["rate"]
		}
		if text, has := value.(string); has {
			f.Values[to] = unit(text)
		}
	}
	if n, has := l["connections-per-client"]; has {
		f.Values["est-connlimit"] = fmt.Sprint(n)
	}
	if l["strict-tcp"] == true {
		f.Values["tcp-strict"] = "on"
	}
	if l["verdict"] == "log" {
		f.Values["verdict"] = "log "
	}
}

// unit writes the unit of a rate in full.
func unit(text string) string {
	count, short, _ := strings.Cut(text, "/")
	for _, long := range []string{"second", "minute", "hour", "day"} {
		if short == long[:1] {
			short = long
		}
	}
	return count + "/" + short
}

// deriveAccess takes the lists. Networks in the farm's own file are no policy, nor is a list that is only logged beside
// others that are denied.
func (f *Farm) deriveAccess(a map[string]any) {
	order := []string{"allow", "deny", "log-only"}
	if a["order"] == "deny-first" {
		order = []string{"deny", "log-only", "allow"}
	}
	f.kept.access = map[string][]any{}
	for _, key := range order {
		for _, word := range words(a[key]) {
			name, isList := strings.CutPrefix(word, "@")
			if !isList || key == "log-only" && a["deny"] != nil {
				f.kept.access[key] = append(f.kept.access[key], word)
			} else if !slices.Contains(f.Policies, name) {
				f.Policies = append(f.Policies, name)
			}
		}
	}
	f.kept.allow = a["allow"] != nil && a["deny"] == nil && a["log-only"] == nil
	f.kept.denyFirst = a["order"] == "deny-first" && len(f.kept.access) > 0
	if a["log-only"] != nil && a["deny"] == nil {
		f.Values["verdict"] = "log "
	}
}

func (f *Farm) deriveLog(l map[string]any) {
	if on := found(logWords, strings.Join(words(l["on"]), " ")); len(on) > 0 {
		f.Values["log"] = spaced(on, "output")
	}
	for _, word := range words(l["on"]) {
		if !slices.Contains(logWords, word) {
			f.kept.occasions = append(f.kept.occasions, word)
		}
	}
	if text, has := l["rate"].(string); has {
		f.Values["log-rtlimit"] = unit(text)
	}
	if text, has := l["prefix"].(string); has {
		f.Values["log-prefix"] = strings.NewReplacer("{reason}", "TYPE", "{farm}", "FNAME", "{backend}", "BNAME",
			"{list}", "PNAME").Replace(text)
	}
}

func (f *Farm) deriveBackends(all map[string]any) {
	for _, name := range sortedKeys(all) {
		t, _ := all[name].(map[string]any)
		b := &Backend{Name: name, Values: backendKind.presets()}
		for from, to := range map[string]string{"address": "ip-addr", "port": "port", "weight": "weight",
			"priority": "priority", "source-address": "source-addr", "connections": "est-connlimit",
			"mac": "ether-addr"} {
			if value, has := t[from]; has {
				b.Values[to] = strings.Join(append(words(value), number0(value)...), ",")
			}
		}
		switch t["state"] {
		case "drain":
			b.Values["state"] = "off"
		case "down":
			b.Values["state"] = "down"
		}
		if mark, has := t["mark"].(string); has {
			number, _, _ := strings.Cut(mark, "/")
			n, _ := aMark(nil, "", number)
			b.Values["mark"], b.Marked = hex(Values{"mark": n}.mark()&^f.Values.mark()), true
		}
		f.Backends = append(f.Backends, b)
	}
}

// number0 returns a number as a text; nothing for values of other types.
func number0(value any) []string {
	if n, is := value.(int64); is {
		return []string{strconv.FormatInt(n, 10)}
	}
	return nil
}

// deriveAddresses names an address for each entry of listen.
func (f *Farm) deriveAddresses(listen any) (out []*Address) {
	for i, entry := range words(listen) {
		a := &Address{Name: f.Name + "-addr", Values: listener(entry), written: entry}
		if i > 0 {
			a.Name += "-" + strconv.Itoa(i-1)
		}
		f.Addresses = append(f.Addresses, a.Name)
		out = append(out, a)
	}
	return out
}

// listener returns the attributes of the address that an entry of listen describes.
func listener(entry string) Values {
	v := addressKind.presets()
	entry, protocols, _ := strings.Cut(entry, "/")
	host, ports := entry, ""
	if end := strings.LastIndexByte(entry, ':'); end > strings.LastIndexByte(entry, ']') &&
		(strings.Count(entry, ":") == 1 || strings.HasPrefix(entry, "[")) {
		host, ports = entry[:end], entry[end+1:]
	}
	v["ip-addr"] = strings.Trim(strings.TrimPrefix(host, "*"), "[]")
	if strings.Contains(host, ":") {
		v["family"] = "ipv6"
	}
	v["ports"] = strings.TrimSuffix(ports, "1-65535")
	v["protocol"] = protocol(protocols)
	return v
}

// protocol returns nftlb's word for a list of protocols.
func protocol(list string) string {
	switch list {
	case "", "tcp":
		return "tcp"
	case "udp", "sctp":
		return list
	}
	return "all"
}
