package farm

import (
	"slices"
	"time"

	"farmc/compiler/toml"
)

// Keys gives all keys of the farm format: first the keys of the farm itself, then the keys of each table. The table
// health of a backend has the keys of the farm's table health, without panic.
func Keys() []Key {
	var out []Key
	for _, table := range farmTables {
		out = append(out, public(table.name, table.keys)...)
	}
	return append(out, public("backends", backendKeys)...)
}

// farmTables are the tables that every farm has once.
var farmTables = []struct {
	name string
	keys []key[*Farm]
}{{"", farmKeys}, {"timeouts", timeoutKeys}, {"persistence", persistenceKeys}, {"access", accessKeys},
	{"limits", limitKeys}, {"log", logKeys}, {"health", farmHealthKeys}}

var (
	balancing = []Mode{SNAT, DNAT, DSR, Stateless}
	tracked   = []Mode{SNAT, DNAT}
	counting  = []Mode{SNAT, DNAT, Local}
	untracked = []Mode{DSR, Stateless}
)

var farmKeys = []key[*Farm]{
	{Key{Name: "description", Example: `"public web site"`},
		own(TextType, func(t *toml.Table, f *Farm) { t.Text("description") }, nil)},
	{Key{Name: "annotations", Example: `{ team = "web" }`}, own(AnnotationsType, readAnnotations, nil)},
	{Key{Name: inheritKey, Default: "true", Example: "false"},
		own(FlagType, func(t *toml.Table, _ *Farm) { t.Flag(inheritKey, true) }, nil)},
	{Key{Name: "mode", Default: "snat", Options: []string{"snat", "dnat", "dsr", "stateless", "local"},
		Example: `"dnat"`},
		choice(func(f *Farm) *Mode { return &f.Mode }).always()},
	{Key{Name: "listen", Example: `"192.0.2.99:80"`}, own(ListType, readListen, (*Farm).listens)},
	{Key{Name: "state", Default: "up", Options: []string{"up", "down"}, Example: `"down"`},
		option("down", func(f *Farm) *bool { return &f.Down })},
	{Key{Name: "per-packet", Default: "false", Modes: untracked, Example: "true"},
		flag(func(f *Farm) *bool { return &f.PerPacket })},
	{Key{Name: "scheduler", Default: "random", Absent: "none", Modes: balancing, Example: `"maglev"`,
		Options: []string{"random", "round-robin", "least-connections", "hash", "symmetric-hash", "maglev"}},
		value[*Farm]{kind: ChoiceType, read: readScheduler, describe: describeScheduler}},
	{Key{Name: "hash-on", Default: "source-address", Absent: "unset", Modes: balancing,
		Example: `["source-address", "source-port"]`}, own(ListType, readHashOn, (*Farm).hashesOn)},
	{Key{Name: "table-size", Least: 2, Most: 65537, Absent: "by the backends", Modes: balancing, Example: "4093"},
		value[*Farm]{kind: NumberType, read: readTableSize,
			describe: number(func(f *Farm) *int { return &f.TableSize }).describe}},
	{Key{Name: "ports", Absent: "as asked for", Modes: []Mode{SNAT, DNAT, Stateless},
		Example: `{ 80 = 8080 }`},
		own(PortsType, func(t *toml.Table, f *Farm) { f.Ports = readPortMap(t, "ports") },
			func(f *Farm) string { return f.Ports.String() })},
	{Key{Name: "interfaces", Absent: "all", Example: `["eth0"]`},
		interfaces(func(f *Farm) *[]string { return &f.Interfaces })},
	{Key{Name: "zone", Least: 1, Most: 65535, Absent: "none", Modes: tracked, Example: "7"},
		number(func(f *Farm) *int { return &f.Zone })},
	{Key{Name: "gateway", Absent: "none", Modes: []Mode{Stateless}, Example: `"10.1.0.2"`},
		own(GatewayType, readGateway, (*Farm).gateways)},
	{Key{Name: "source-address", Absent: "this machine's own", Modes: []Mode{SNAT}, Example: `"10.2.0.1"`},
		own(ListType, readSource, (*Farm).sources)},
	{Key{Name: "hairpin", Absent: "none", Modes: []Mode{DNAT}, Example: `"10.0.0.0/24"`},
		own(ListType, readHairpin, (*Farm).hairpins)},
	{Key{Name: "outgoing", Absent: "none", Modes: tracked, Example: `"all"`},
		own(ListType, readOutgoing, (*Farm).outgoings)},
	{Key{Name: "sources", Absent: "none", Modes: []Mode{Local}, Example: `{ "0x200" = "192.168.0.101" }`},
		own(MarkedSourcesType, readMarkedSources, (*Farm).markedSources)},
	{Key{Name: "local-clients", Default: "true", Modes: tracked, Example: "false"},
		value[*Farm]{kind: FlagType, read: readLocalClients, describe: describeLocalClients}},
	{Key{Name: "take-over", Default: "false", Modes: balancing, Example: "true"},
		flag(func(f *Farm) *bool { return &f.TakeOver })},
	{Key{Name: "announce", Default: "false", Options: []string{"always"}, Example: "true"},
		own(AnnounceType, readAnnounce, func(f *Farm) string { return string(f.Announce) })},
	{Key{Name: "flow-offload", Absent: "none", Modes: tracked, Example: `["eth0", "eth1"]`},
		interfaces(func(f *Farm) *[]string { return &f.FlowOffload })},
	{Key{Name: "flow-offload-all", Default: "false", Modes: tracked, Example: "true"},
		flag(func(f *Farm) *bool { return &f.OffloadAll })},
	{Key{Name: "invalid", Default: "drop", Options: []string{"drop", "pass"}, Modes: tracked, Example: `"pass"`},
		option("pass", func(f *Farm) *bool { return &f.PassInvalid })},
	{Key{Name: "helper", Absent: "none", Modes: tracked, Example: `"ftp"`,
		Options: []string{"ftp", "sip", "tftp", "pptp", "snmp"}}, choice(func(f *Farm) *string { return &f.Helper })},
	{Key{Name: "mark", Absent: "none", Modes: tracked, Example: `"0x10/0xff"`},
		text(MarkType, readMark, func(f *Farm) *Mark { return &f.Mark })},
	{Key{Name: "mark-replies", Absent: "none", Modes: []Mode{SNAT, DNAT, Stateless, Local},
		Example: `{ wan1 = "0x100/0xf00" }`},
		own(UplinksType, readMarkReplies, (*Farm).markedReplies)},
	{Key{Name: "queue", Absent: "none", Modes: counting, Example: `"0-3"`},
		text(QueueType, readQueue, func(f *Farm) *Queue { return &f.Queue })},
	{Key{Name: "timeouts", Modes: tracked}, own(TableType, readTimeouts, nil)},
	{Key{Name: "persistence", Modes: balancing}, own(TableType, readPersistence, nil)},
	{Key{Name: "access"}, own(TableType, readAccess, nil)},
	{Key{Name: "limits"}, own(TableType, readLimits, nil)},
	{Key{Name: "log", Absent: "none"}, own(TableType, readLog, (*Farm).logs)},
	{Key{Name: "health", Modes: balancing}, own(TableType, readHealth, nil)},
	{Key{Name: "backends", Modes: balancing}, own(TablesType, readBackends, nil)},
}

var timeoutKeys = []key[*Farm]{
	{Key{Name: "established", Absent: "as the machine says", Example: `"12h"`},
		idle(func(f *Farm) *time.Duration { return &f.Timeouts.Established }).named("timeouts.established")},
	{Key{Name: "half-closed", Default: "1h", Example: `"2h"`},
		idle(func(f *Farm) *time.Duration { return &f.Timeouts.HalfClosed }).named("timeouts.half-closed")},
	{Key{Name: "udp", Absent: "as the machine says", Example: `"30s"`},
		idle(func(f *Farm) *time.Duration { return &f.Timeouts.UDP }).named("timeouts.udp")},
}

var persistenceKeys = []key[*Farm]{
	{Key{Name: "on", Default: "source-address", Absent: "none", Example: `["source-address", "source-port"]`},
		own(ListType, readPersistenceOn, (*Farm).persistsOn).named("persistence")},
	{Key{Name: "timeout", Default: "1m", Absent: "unset", Example: `"5m"`},
		own(DurationType, readPersistenceTimeout, (*Farm).persistsFor).named("persistence.timeout")},
	{Key{Name: "renew", Default: "connection", Options: []string{"connection", "packet"}, Modes: tracked,
		Example: `"packet"`},
		value[*Farm]{kind: ChoiceType, read: readRenewal, describe: describeRenewal}.named("persistence.renew")},
	{Key{Name: "prefix", Least: 1, Most: 128, Absent: "whole addresses", Example: "[24, 64]"},
		value[*Farm]{kind: NumbersType, read: readPrefixes, describe: describePrefixes}.named("persistence.prefix")},
	{Key{Name: "group", Absent: "none", Modes: tracked, Example: `"shop"`},
		own(TextType, readGroup, (*Farm).PersistenceGroup).named("persistence.group")},
	{Key{Name: "static", Absent: "none", Example: `{ "198.51.100.7" = "b1" }`},
		own(SessionsType, readSessions, (*Farm).sessions).named("persistence.static")},
}

var accessKeys = []key[*Farm]{
	{Key{Name: "allow", Absent: "none", Example: `["203.0.113.7"]`},
		clients(func(f *Farm) *ClientList { return &f.Access.Allow })},
	{Key{Name: "deny", Absent: "none", Example: `["198.51.100.0/24"]`},
		clients(func(f *Farm) *ClientList { return &f.Access.Deny })},
	{Key{Name: "exempt", Absent: "none", Example: `["203.0.113.8"]`},
		clients(func(f *Farm) *ClientList { return &f.Access.Exempt })},
	{Key{Name: "log-only", Absent: "none", Example: `["198.51.100.0/24"]`},
		clients(func(f *Farm) *ClientList { return &f.Access.LogOnly })},
	{Key{Name: "order", Default: "allow-first", Options: []string{"allow-first", "deny-first"},
		Example: `"deny-first"`}, option("deny-first", func(f *Farm) *bool { return &f.Access.DenyFirst })},
}

var limitKeys = []key[*Farm]{
	{Key{Name: "new-per-client", Absent: "no limit", Modes: counting, Example: `{ rate = "10/second", burst = 20 }`},
		text(LimitType, readLimit, func(f *Farm) *Limit { return &f.Limits.NewPerClient })},
	{Key{Name: "resets-per-client", Absent: "no limit", Example: `{ rate = "2/second", burst = 10 }`},
		text(LimitType, readLimit, func(f *Farm) *Limit { return &f.Limits.ResetsPerClient })},
	{Key{Name: "connections-per-client", Least: 1, Most: 1<<31 - 1, Absent: "no limit", Modes: counting,
		Example: "100"},
		number(func(f *Farm) *int { return &f.Limits.ConnectionsPerClient })},
	{Key{Name: "new", Absent: "no limit", Modes: counting, Example: `{ rate = "2000/second", burst = 500 }`},
		text(LimitType, readLimit, func(f *Farm) *Limit { return &f.Limits.New })},
	{Key{Name: "connections", Least: 1, Most: 1<<31 - 1, Absent: "no limit", Modes: counting, Example: "50000"},
		number(func(f *Farm) *int { return &f.Limits.Connections })},
	{Key{Name: "clients", Least: 1, Most: 1 << 24, Default: "65535", Example: "1000"},
		number(func(f *Farm) *int { return &f.Limits.Clients })},
	{Key{Name: "ban", Absent: "none", Example: `"2m"`}, own(DurationType, readBan, (*Farm).ban)},
	{Key{Name: "strict-tcp", Default: "false", Example: "true"},
		flag(func(f *Farm) *bool { return &f.Limits.StrictTCP })},
	{Key{Name: "synproxy", Default: "false", Modes: tracked, Example: "true"},
		flag(func(f *Farm) *bool { return &f.Limits.Synproxy.On })},
	{Key{Name: "synproxy-mss", Least: 536, Most: 65495, Default: "1460", Modes: tracked, Example: "8960"},
		number(func(f *Farm) *int { return &f.Limits.Synproxy.MSS })},
	{Key{Name: "synproxy-wscale", Least: 0, Most: 14, Default: "7", Modes: tracked, Example: "9"},
		value[*Farm]{kind: NumberType, read: readWindowScale, describe: describeWindowScale}},
	{Key{Name: "verdict", Default: "drop", Options: []string{"drop", "reject", "log"}, Example: `"reject"`},
		choice(func(f *Farm) *Verdict { return &f.Limits.Verdict })},
}

// The keys of [log] are described together, as "log".
var logKeys = []key[*Farm]{
	{Key{Name: "on", Example: `["input", "denied"]`}, own(ListType, readOccasions, nil)},
	{Key{Name: "prefix", Example: `"{farm}: "`}, own(TextType, readPrefix, nil)},
	{Key{Name: "rate", Default: "10/second", Example: `"20/minute"`}, own(RateType, readLogRate, nil)},
}

var backendKeys = []key[*Backend]{
	{Key{Name: "address", Example: `"10.2.0.99"`},
		value[*Backend]{kind: ListType, read: readBackendAddress,
			describe: func(_ *Key, b *Backend) string { return b.Address.String() }}},
	{Key{Name: "port", Least: 1, Most: 65535, Absent: "as asked for", Modes: []Mode{SNAT, DNAT, Stateless},
		Example: "8080"},
		number(func(b *Backend) *uint16 { return &b.Port })},
	{Key{Name: "ports", Absent: "the farm's", Modes: []Mode{SNAT, DNAT, Stateless},
		Example: `{ 80 = 8080 }`},
		own(PortsType, func(t *toml.Table, b *Backend) { b.Ports = readPortMap(t, "ports") }, describeOwnPorts)},
	{Key{Name: "weight", Least: 1, Most: 1000, Default: "1", Example: "5"},
		number(func(b *Backend) *int { return &b.Weight }).always()},
	{Key{Name: "priority", Least: 1, Most: 1000, Default: "1", Modes: balancing, Example: "2"},
		number(func(b *Backend) *int { return &b.Priority })},
	{Key{Name: "state", Default: "up", Options: []string{"up", "drain", "down"}, Example: `"down"`},
		choice(func(b *Backend) *State { return &b.State })},
	{Key{Name: "weight-percent", Least: 0, Most: 100, Default: "100", Modes: balancing, Example: "50"},
		value[*Backend]{kind: NumberType, read: readPercent, describe: describePercent}},
	{Key{Name: "source-address", Absent: "this machine's own", Modes: []Mode{SNAT}, Example: `"10.2.0.1"`},
		text(ListType, readBackendSource, func(b *Backend) *Sources { return &b.Source })},
	{Key{Name: "connections", Least: 1, Most: 1<<31 - 1, Absent: "no limit", Modes: tracked, Example: "100"},
		number(func(b *Backend) *int { return &b.Connections })},
	{Key{Name: "mark", Absent: "none", Modes: tracked, Example: `"0x11/0xff"`},
		text(MarkType, readMark, func(b *Backend) *Mark { return &b.Mark })},
	{Key{Name: "interface", Absent: "the farm's", Modes: untracked, Example: `"eth1"`},
		own(TextType, readInterface, func(b *Backend) string { return b.Interface })},
	{Key{Name: "mac", Absent: "as the kernel finds it", Modes: []Mode{DSR}, Example: `"02:00:00:00:00:01"`},
		own(TextType, readMAC, func(b *Backend) string { return b.MAC })},
	// readBackends reads it, over the farm's.
	{Key{Name: "health", Modes: balancing}, own(TableType, func(*toml.Table, *Backend) {}, nil)},
}

// Tracked reports whether the farm's connections are tracked and translated.
func (f *Farm) Tracked() bool { return slices.Contains(tracked, f.Mode) }

// Untracked reports whether packets of the mode pass without connection tracking.
func (m Mode) Untracked() bool { return slices.Contains(untracked, m) }
