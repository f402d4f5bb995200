package graph

import (
	"fmt"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/toml"
)

// item makes an item without a tone. Details that are empty are left out.
func item(label string, details ...string) Item {
	i := Item{Label: label}
	for _, d := range details {
		if d != "" {
			i.Details = append(i.Details, d)
		}
	}
	return i
}

func clients(f *farm.Farm) []Item {
	in := []Item{item("any interface")}
	if len(f.Interfaces) > 0 {
		in = []Item{item("interfaces", f.Interfaces...)}
	}
	if f.LocalClients {
		in = append(in, item("this machine"))
	}
	return in
}

func frontends(f *farm.Farm) []Item {
	out := []Item{item("", f.Listening()...)}
	if f.Down {
		out = append(out, Item{"farm is down", []string{"packets pass as they are"}, Stop})
	}
	return out
}

// filters gives access, then limits in the order of the rules, then the queue.
func filters(f *farm.Farm) []Item {
	out := append(access(f.Access), limits(f.Limits)...)
	if f.Queue.Count > 0 {
		out = append(out, item("queue", "NFQUEUE "+f.Queue.String()))
	}
	if len(f.Log.On) > 0 {
		out = append(out, item("log", listed(f.Log.On)))
	}
	if len(out) == 0 {
		return []Item{item("none")}
	}
	return out
}

func access(a farm.Access) (out []Item) {
	exempt, allow, deny := clientItem("exempt", a.Exempt), clientItem("allow", a.Allow), clientItem("deny", a.Deny)
	order := [][]Item{exempt, allow, deny}
	if a.DenyFirst {
		order = [][]Item{deny, exempt, allow}
	}
	for _, items := range append(order, clientItem("log-only", a.LogOnly)) {
		out = append(out, items...)
	}
	return out
}

// clientItem shows a list of clients, if there is one.
func clientItem(key string, clients farm.ClientList) []Item {
	if clients.Empty() {
		return nil
	}
	return []Item{item(key, strings.Split(clients.String(), ", ")...)}
}

func limits(l farm.Limits) (out []Item) {
	add := func(is bool, label, detail string) {
		if is {
			out = append(out, item(label, detail))
		}
	}
	add(l.Ban > 0, "ban", toml.FormatDuration(l.Ban)+" beyond a limit")
	add(l.StrictTCP, string(farm.StrictTCP), "drops impossible segments")
	for _, limit := range []struct {
		of   farm.Reason
		rate farm.Limit
	}{{farm.ResetsPerClient, l.ResetsPerClient}, {farm.NewPerClient, l.NewPerClient}, {farm.New, l.New}} {
		add(limit.rate.Count > 0, string(limit.of), limit.rate.String())
	}
	add(l.ConnectionsPerClient > 0, string(farm.ConnectionsPerClient), fmt.Sprint(l.ConnectionsPerClient))
	add(l.Connections > 0, string(farm.Connections), fmt.Sprint(l.Connections))
	add(l.Synproxy.On, "synproxy", "answers SYNs with cookies")
	if len(out) > 0 && l.Verdict != farm.VerdictDrop {
		out = append(out, item("verdict", string(l.Verdict)))
	}
	return out
}

// choice gives the choice of a backend: fixed clients, remembered clients, then the scheduler.
func choice(f *farm.Farm) (out []Item) {
	if f.Mode == farm.Local {
		return []Item{item("of this machine", "listens and serves")}
	}
	if p := f.Persistence; p != nil {
		if len(p.Static) > 0 {
			out = append(out, item("static sessions", counted(len(p.Static), "client")))
		}
		out = append(out, item("persistence", append(fields(p.On), "for "+toml.FormatDuration(p.Timeout),
			prefixed("group ", p.Group))...))
	}
	out = append(out, item(string(f.Scheduler), hashedFields(f)...))
	for i := range f.Backends {
		if f.Backends[i].Connections > 0 {
			out = append(out, item("full backends", "pass clients on"))
			break
		}
	}
	return append(out, withoutBackend(f)...)
}

// withoutBackend names the families that the farm listens on, and no backend serves.
func withoutBackend(f *farm.Farm) (out []Item) {
	for _, family := range addr.Families {
		if f.Listens(family) && len(f.Serving(family)) == 0 && !f.Down {
			out = append(out, Item{"no backend serves " + family.String(), nil, Stop})
		}
	}
	return out
}

func hashedFields(f *farm.Farm) []string {
	switch {
	case f.Scheduler == farm.Hash || f.Scheduler == farm.Maglev:
		return fields(f.HashOn)
	case f.Scheduler == farm.LeastConnections:
		return []string{"by weight", "moved by farmc watch"}
	case f.PerPacket:
		return []string{"for each datagram"}
	}
	return nil
}

// fields gives hash keys, a line for each.
func fields(keys []farm.HashKey) (out []string) {
	for i, k := range keys {
		out = append(out, map[bool]string{true: "on ", false: "and "}[i == 0]+string(k))
	}
	return out
}

// delivery gives the changes to a packet on its way to a backend.
func delivery(f *farm.Farm) []Item {
	out := rewriting(f)
	if len(f.Outgoing) > 0 {
		out = append(out, item("outgoing", "as the service: "+words(f.Outgoing)))
	}
	if len(f.MarkedSources) > 0 {
		out = append(out, item("sources by mark", wordsOf(f.MarkedSources)...))
	}
	if f.Mark != (farm.Mark{}) {
		out = append(out, item("mark", f.Mark.String()))
	}
	if f.Helper != "" {
		out = append(out, item("helper", f.Helper))
	}
	if len(f.FlowOffload) > 0 {
		out = append(out, item("flow offload", strings.Join(f.FlowOffload, ", ")))
	}
	if f.Checked() {
		out = append(out, item("health checks", checks(f)))
	}
	return out
}

// rewriting gives the addresses that a backend sees.
func rewriting(f *farm.Farm) []Item {
	switch f.Mode {
	case farm.SNAT:
		source := f.Source.String()
		if f.Masquerade || source == "" {
			source = strings.TrimPrefix(source+", this machine's own", ", ")
		}
		return []Item{item("source address", strings.Split(source, ", ")...)}
	case farm.DNAT:
		out := []Item{item("source address", "the client's")}
		if len(f.Hairpin) > 0 {
			out = append(out, item("hairpin", wordsOf(f.Hairpin)...))
		}
		return out
	case farm.DSR:
		return []Item{item("frame as it is", "to the backend's MAC")}
	case farm.Stateless:
		return []Item{item("source address", "the client's"), item("connection tracking", "none")}
	}
	return []Item{item("addresses", "unchanged")}
}

func checks(f *farm.Farm) string {
	for i := range f.Backends {
		if b := &f.Backends[i]; f.Checks(b.Name) {
			h := f.HealthOf(b)
			return fmt.Sprintf("%s, every %s", h.Type, toml.FormatDuration(h.Interval))
		}
	}
	return ""
}
