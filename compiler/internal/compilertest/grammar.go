package compilertest

import (
	"fmt"
	"regexp"
	"strings"
)

// The script read back, by a grammar that has a form for every line that a template can make, and nothing else: so no
// text of an administrator can be a statement. A new line of a template needs a form here.

// lineForm turns the form of a line into an expression.
func lineForm(text string) *regexp.Regexp {
	for _, part := range [][2]string{
		{"FAST", `(?:ip protocol PROTO (?:ip frag-off 0x4000|@nh,32,32 & 0x3fff == 0x0) |ip6 nexthdr PROTO )` +
			`(?:@th,96,32 & 0x20000 == 0x0 )?`},
		{"WHOLE", `meta pkttype \. IP [sd]addr \. th [sd]port`},
		{"NUMBER", `(numgen random|numgen inc|symhash|jhash FIELD(?: \. FIELD)*) mod ([0-9]+)(?: seed 0x6661726d)?`},
		{"CLIENT", `(?:jhash PARTS mod 4294967295 seed 0x6661726d|PARTS)`},
		{"OWNFROM", `meta l4proto \. IP saddr \. th sport \. IP daddr \. th dport`},
		{"OWNTO", `meta l4proto \. IP daddr \. th dport \. IP saddr \. th sport`},
		{"MOVED", `(?: PROTO dport set (?:PORTS|PROTO dport map @NAME))?`},
		{"PARTS", `PART(?: \. PART)*`},
		{"PART", `(?:ct original IP daddr|FIELD(?: & (?:IP4|IP6))?)`},
		{"SLOT", `(?:(?:numgen random|numgen inc|symhash|jhash FIELD(?: \. FIELD)*) mod [0-9]+` +
			`(?: seed 0x6661726d)?|meta mark)`},
		{"FIELD", `(?:IP [sd]addr|ether [sd]addr|th [sd]port|@th,[0-9]+,[0-9]+|@ll,0,96)`},
		{"FRONTEND", `(?:meta l4proto \. IP [sd]addr(?: \. th [sd]port)?|IP [sd]addr)`},
		{"RANGED", `th [sd]port PORTS meta l4proto \. IP [sd]addr`},
		{"ASKED", `(?:meta l4proto \. ct original IP daddr \. th dport|ct original IP daddr)`},
		{"HANDED", `(?:meta l4proto \. IP daddr|@th,[0-9]+,[0-9]+(?: \. @th,[0-9]+,[0-9]+)*) \. `},
		{"BACKENDID", `@nh,(?:128|288),32 \^ HEX`},
		{"INSIDE", `(?:{ "DEVICE" }|@NAME)`},
		{"DEVICES", `"DEVICE"(?:, "DEVICE")*`},
		{"DEVICE", `[A-Za-z0-9_][A-Za-z0-9_.-]*`},
		{"RATE", `[0-9]+/(?:second|minute|hour|day) burst [0-9]+ packets`},
		{"LOG", `log prefix "[ !#%-\[\]-_a-~]{1,126} "`},
		{"KNOWN", `(?:jump NAME|(?:meta l4proto PROTO )?dnat IP to IP daddr map @NAME)`},
		{"VERDICT", `(?:goto NAME|jump NAME|accept|drop|return)`},
		{"DENIED", `(?:return|jump NAME|goto NAME|counter name "NAME" drop)`},
		{"EXCESS", `counter name "NAME"(?: drop| goto NAME| jump NAME)?`},
		{"CLIENT", `(?:ip saddr|ip6 saddr & ffff:ffff:ffff:ffff::)`},
		{"NAME", `[A-Za-z][A-Za-z0-9./_-]*`},
		{"FARM", `[A-Za-z0-9][A-Za-z0-9_.-]*`},
		{"PREFIX", `(?: & (?:IP4|IP6))?`},
		{"IP4", `[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+`},
		{"IP6", `[0-9a-f]*:[0-9a-f:]+`},
		{"IPV", `ipv[46]`},
		{"IP", `(?:ip|ip6)`},
		{"MAC", `[0-9a-f]{2}(?::[0-9a-f]{2}){5}`},
		{"PORTS", `[0-9]+(?:-[0-9]+)?`},
		{"PROTOS", `(?:PROTO|{ PROTO(?:, PROTO)* })`},
		{"PROTO", `(?:tcp|udp|sctp)`},
		{"FLAGS", `(?:syn|ack|rst|(?:syn|fin|rst) \| ack)`},
		{"HEX", `0x[0-9a-f]+`},
	} {
		text = strings.ReplaceAll(text, part[0], part[1])
	}
	return regexp.MustCompile("^(?:" + text + ")$")
}

// lineForms make one expression of several.
func lineForms(all ...string) *regexp.Regexp { return lineForm(strings.Join(all, "|")) }

const opening = `# Made by farmc from the farms; a change here is gone with the next load.
table inet farmc
delete table inet farmc
table netdev farmc
delete table netdev farmc
table inet farmc {
`

// The lines of a script, by where they stand.
var (
	betweenTables = lineForms(``, `# farms that take their packets at the ingress of interfaces`)
	opensTable    = lineForm(`table netdev farmc {`)

	inTable = lineForms(``,
		`	# access lists: the first addresses of networks, a set for each length`)
	opensMap    = lineForm(`	(?:map|set) (NAME) {`)
	opensChain  = lineForm(`	chain (NAME) {`)
	opensObject = lineForm(`	(?:ct (?:helper|timeout) (NAME)|flowtable farms|limit (NAME)|counter NAME) {`)
	closes      = "\t}"

	inObject = lineForms(
		`		type "(?:ftp|sip|tftp|pptp|snmp)" protocol (?:tcp|udp)`,
		`		protocol (?:tcp|udp)`,
		`		policy = { [a-z_]+ : [0-9]+(?:, [a-z_]+ : [0-9]+)* }`,
		`		hook ingress priority filter`,
		`		devices = { DEVICES }`,
		`		counter`,
		`		rate RATE`,
	)

	inMap = lineForms(
		`		# backends with a limit: those that the next connection fills, those that have room, and those that `+
			`are `+
			`full`,
		`		type (?:inet_proto|IPV_addr|inet_service|mark)(?: \. (?:inet_proto|IPV_addr|inet_service))*(?: : `+
			`(?:verdict|IPV_addr|ether_addr))?`,
		`		typeof (?:FRONTEND \. |WHOLE \. |HANDED|IP daddr \. (?:th dport \. )?)?`+
			`(?:numgen random mod [0-9]+|meta mark) : `+
			`(?:IP daddr(?: \. th dport)?|ether daddr|meta mark)`,
		`		type (?:inet_proto|IPV_addr|inet_service|ether_addr)(?: \. (?:IPV_addr|inet_service|ether_addr))* : `+
			`IPV_addr(?: \. inet_service)?`,
		`		type (?:inet_proto|IPV_addr|inet_service|ether_addr)(?: \. (?:IPV_addr|inet_service|ether_addr))* : `+
			`mark`,
		`		typeof (?:FRONTEND \. |HANDED|IP daddr \. th dport \. )?(?:numgen random mod [0-9]+|meta mark)`,
		`		type mark(?: : (?:IPV_addr|ether_addr|verdict))?`,
		`		type ifname : verdict`,
		`		type pkt_type \. IPV_addr \. inet_service : IPV_addr`,
		`		type IPV_addr \. inet_service : IPV_addr`,
		`		typeof @nh,128,32`,
		`		type inet_service : inet_service`,
		`		ct count (?:over )?1`,
		`		flags dynamic,timeout`,
		`		timeout (?:[0-9]+(?:d|h|m|s|ms))+`,
		`		typeof @th,[0-9]+,[0-9]+(?: \. @th,[0-9]+,[0-9]+)* : verdict`,
		`		flags dynamic(?:,timeout)?`,
		`		size [0-9]+`,
		`		timeout [0-9]+s`,
		`		limit rate over [0-9]+/(?:second|minute|hour|day) burst [0-9]+ packets`,
		`		ct count over [0-9]+`,
		`		type (?:ifname|tcp_flag)`,
		`		flags interval`,
		`		counter`,
		`		comment "farmc watch moves these slots"`,
		`		elements = {`,
		`			# FARM`,
		`		}`,
	)
	ofMap = lineForm(
		`			((?:IP4|IP6|IP4-IP4|IP6-IP6|PORTS|HEX|PROTO|host|MAC|"DEVICE"|FLAGS)` +
			`(?: \. (?:IP4|IP6|PORTS|HEX|MAC))*)` +
			`(?: ` +
			`ct count (?:over )?[0-9]+)?(?: comment "(FARM(?:@(?:IP4|IP6))?)")?` +
			`(?: : (VERDICT|(?:IP4|IP6)(?: \. PORTS)?|MAC|HEX|` +
			`PORTS))?,`,
	)

	inChain = lineForms(
		`		# no maps, but the kernel translates open connections only while there is a nat chain`,
		`		# connections that this machine opens; -102 is dstnat - 2, a name that nft does not take here`,
		`		# the backend is chosen: the original destination selects the source`,
		`		# right after the choice, so that routing, filters and this machine see the mark`,
		`		# before connection tracking, which sees neither requests nor replies`,
		`		# NAT does not translate invalid segments, so a reset in answer would end the connection`,
		`		# invalid segments of backends in mode dnat; every forwarded packet pays for this chain`,
		`		# datagrams from a service of a backend or of this machine: `+
			`two services would answer each other for ever`,
		`		# just before the backend is chosen`,
		`		# connections of all programs: a lookup of the farm would cost each of them more`,
		`		# as it is forwarded, after the filters`,
		`		# of backends and services on this machine`,
		`		# as it leaves, from the source that the backend sees`,
		`		# of a backend on this machine`,
		`		# replies; requests are untracked already`,
		`		# the packets that the chains at ingress leave to the stack: fragments, and SYNs`,
		`		# replies of farms with a gateway; the stack takes the other ones`,
		`		# SYNs from addresses of this machine`,
		`		# farms of few kinds: their maps are asked without a lookup of the kind`,
		`		# before connection tracking, so that these lookups belong to no connection`,
		`		# each packet of a client renews its time; NAT of open connections is at dstnat`,
		`		# access lists, before everything else`,
		`		# with route_localnet the kernel itself would take these packets`,
		`		iif "lo" return`,
		`		ip [sd]addr 127\.0\.0\.0/8 drop`,
		`		# bans and strict-tcp, before connection tracking`,
		`		# right after connection tracking`,
		`		type nat hook (?:prerouting priority dstnat - [25]|output priority -10[25]|postrouting priority `+
			`srcnat `+
			`- `+
			`2)`,
		`		type filter hook (?:prerouting priority `+
			`(?:raw|raw - 10?|raw - [35]|mangle(?: - 5)?|dstnat - 1|dstnat \+ 5)|`+
			`output priority (?:-95|-101|raw|raw - 10)|forward priority filter(?: \+ 5| \+ 10)?|`+
			`(?:input|output) priority filter \+ 5|postrouting priority srcnat(?: \+ 5)?|`+
			`ingress devices = { DEVICES } priority filter(?: - 10?| - [25])?)`,
		`		type filter hook (?:input|forward) priority filter - 5`,
		`		# the interface of a request, for its replies`,
		`		type (?:filter hook prerouting priority mangle - [34]|route hook output priority mangle - 3)`,
		`		ct direction != reply return`,
		`		(?:ct mark & HEX|iifname) vmap @NAME`,
		`		meta mark set (?:meta mark & HEX \| )?HEX`,
		`		# SYNs that the kernel answers with cookies`,
		`		type filter hook (?:prerouting priority raw - 2|input priority filter - 10|`+
			`output priority (?:mangle - 5|filter \+ 10))`,
		`		fib saddr type local (?:return|accept)`,
		`		fib daddr type local counter name "NAME" notrack`,
		`		ct state established,related return`,
		`		tcp flags & \(fin \| syn \| rst \| ack\) == syn ct state untracked goto NAME`,
		`		tcp flags & \(fin \| syn \| rst \| ack\) == ack ct state invalid,new goto NAME`,
		`		tcp flags & \(fin \| syn \| rst \| ack\) == ack (?:goto NAME|reset tcp option timestamp)`,
		`		tcp flags & \(fin \| rst\) != 0x0 return`,
		`		synproxy mss [0-9]+ wscale [0-9]+ timestamp sack-perm`,
		`		iif != 0 tcp flags & \(fin \| syn \| rst \| ack\) != syn accept`,
		`		ct state != invalid return`,
		`		meta l4proto != tcp return`,
		`		tcp flags & \(syn \| rst\) != 0x0 return`,
		`		tcp sport PORTS drop`,
		`		iifname != INSIDE return`,
		`		ct state new comment "farmc sha256:[0-9a-f]{64}"`,
		`		ct state != new return`,
		`		ct status & dnat != dnat (?:return|goto NAME)`,
		`		ct state new ct status & dnat == dnat goto marks`,
		`		queue flags bypass(?:,fanout)? to PORTS`,
		`		ct status & \(dnat \| confirmed\) == (?:dnat|0) goto NAME`,
		`		ct status & \(dnat \| confirmed\) != (?:dnat|\(dnat \| confirmed\)) return`,
		`		ct state (?:(?:!= )?untracked|invalid,untracked) return`,
		`		(?:meta l4proto tcp )?jump NAME`,
		`		tcp flags & \(fin \| syn \| rst \| ack\) != syn return`,
		`		limit rate over RATE return`,
		`		limit name "NAME" LOG`,
		`		(?:IP daddr (?:IP4|IP6) (?:th dport PORTS )?)?LOG(?: return)?`,
		`		iif "lo" return`,
		`		oif "lo" return`,
		`		iif != 0 iifname != INSIDE return`,
		`		goto NAME`,
		`		iifname != INSIDE accept`,
		`		(?:ip frag-off & 0x3fff != 0|exthdr frag exists|tcp flags & syn == syn|`+
			`meta l4proto tcp @th,96,32 & 0x20000 == 0x0) accept`,
		`		meta pkttype other accept`,
		`		meta l4proto tcp reject with tcp reset`,
		`		reject`,
		`		ip daddr 127\.0\.0\.0/8 return`,
		`		ip6 daddr ::1 return`,
		`		fib daddr type local goto (?P<local>NAME)`,

		`		# equal clients on these interfaces are apart`,
		`		type filter hook prerouting priority raw \+ 10`,
		`		ct state untracked accept`,
		`		ct original zone set iifname map { "DEVICE" : [0-9]+(?:, "DEVICE" : [0-9]+)* }`,
		`		(?:iifname { "DEVICE"(?:, "DEVICE")* } )?(?:meta nfproto IPV )?(?:meta l4proto \. )?`+
			`(?:IP [sd]addrPREFIX)?(?: \. )?`+
			`(?:th [sd]port)? vmap @NAME`,
		`		(?:ct original zone [0-9]+ )?(?:meta nfproto IPV )?(?:meta l4proto (?:PROTOS meta l4proto )?\. )?`+
			`(?:ct original IP daddrPREFIX)?(?: \. )?(?:ct original proto-dst)?(?: \. IP daddr)? vmap @NAME`,
		`		(?:icmp|icmpv6) type { (?:destination-unreachable|packet-too-big|time-exceeded|parameter-problem)`+
			`(?:, `+
			`(?:time-exceeded|packet-too-big|parameter-problem))* } `+
			`@th,[0-9]+,[0-9]+(?: & HEX)?(?: \. @th,[0-9]+,[0-9]+`+
			`(?: & HEX)?)* vmap @NAME`,
		`		icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, `+
			`nd-redirect `+
			`} (?:accept|return)`,
		`		(?:ip frag-off & 0x1fff|frag frag-off) != 0 meta l4proto \. IP daddrPREFIX vmap @NAME`,

		`		(?:meta l4proto PROTO )?dnat IP to (?:FRONTEND \. )?NUMBER map @NAME`,
		`		IP daddr set (?:NUMBER|CLIENT) map @NAME`,
		`		IP daddr set ct original IP daddr`,
		`		(?:update|delete) @NAME { CLIENT : IP daddr }`,
		`		IP daddr set CLIENT map @NAME (?:update @NAME { CLIENT : IP daddr } )?KNOWN`,
		`		IP daddr set CLIENT map @NAME update @NAME { CLIENT : IP daddr }`,
		`		ct direction != original return`,
		`		jump NAME`,
		`		BACKENDID (?:!= )?@full-backends (?:jump NAME|return)`,
		`		BACKENDID @backend-brims update @full-backends { BACKENDID }`,
		`		BACKENDID @backend-counts`,
		`		IP daddr set (?:ASKED \. )?IP daddr map @NAME(?: IP daddr set ct original IP daddr goto NAME)?`,
		`		limit rate over 50/second burst 1 packets return`,
		`		IP daddr set IP daddr \^ (?:240\.0\.0\.0|ff00::)`,
		`		(?:add @backend-counts { HEX ct count [0-9]+ } )?delete @full-backends { HEX }`,
		`		type filter hook (?:prerouting|output) priority raw \+ 10?`,
		`		IP daddr set FRONTEND \. NUMBER map @NAME`,
		`		(?:meta l4proto PROTO )?dnat IP to (?:ASKED \. )?IP daddr map @NAME`,
		`		meta l4proto PROTO (?:th dport { PORTS(?:, PORTS)* } )?dnat IP to IP daddr map @NAME : `+
			`th dport map @NAME`,
		`		snat IP to (?:IP daddr|(?:IP daddr \. )?numgen random mod [0-9]+) map @NAME(?: fully-random)?`,
		`		snat IP to (?:IP4|IP6)(?: fully-random)?`,
		`		masquerade(?: fully-random)?`,
		`		snat IP to (?:meta l4proto \. )?IP saddr(?: \. th dport)? map @NAME`,
		`		meta nfproto ipv[46] iif 0 oif != "lo" snat IP to meta mark map @NAME`,
		`		IP saddr (?:IP4|IP6)/[0-9]+ goto NAME`,
		`		ct mark set HEX`,
		`		ct mark set ct mark & HEX \| HEX`,
		`		ct (?:helper|timeout) set "NAME"`,
		`		(?:ct state established )?flow add @farms`,

		`		IP saddr (?:& (?:IP4|IP6) )?@NAME DENIED`,
		`		IP saddr (?:IP4|IP6)(?:/[0-9]+)? DENIED`,
		`		counter name "NAME"(?: drop)?`,
		`		(?:icmp|icmpv6) type { (?:destination-unreachable|packet-too-big|time-exceeded|parameter-problem)`+
			`(?:, `+
			`(?:time-exceeded|packet-too-big|parameter-problem))* } accept`,
		`		jump NAME`,
		`		drop`,
		`		ct status & confirmed == confirmed return`,
		`		meta protocol (?:ip reject with icmp|ip6 reject with icmpv6) type port-unreachable`,
		`		update @NAME { CLIENT timeout [0-9]+m?s }`,
		`		(?:CLIENT @NAME (?:tcp flags & \(fin \| rst\) == 0x0 )?)?EXCESS`,
		`		CLIENT @NAME jump NAME`,
		`		tcp flags & syn == 0x0 drop`,
		`		tcp flags & \(fin \| syn \| rst \| ack\) != @tcp-flags EXCESS`,
		`		tcp flags & \(syn \| ack\) == syn tcp option maxseg size < 536 EXCESS`,
		`		meta l4proto tcp ct state invalid (?:tcp flags & \(fin \| syn \| rst \| ack\) != ack )?EXCESS`,
		`		ct state new tcp flags & \(fin \| syn \| rst \| ack\) != syn `+
			`(?:tcp flags & \(fin \| syn \| rst \| ack\) != ack )?EXCESS`,
		`		(?:tcp flags & rst == rst )?(?:update|add) @NAME { CLIENT } EXCESS`,
		`		(?:tcp flags & rst == rst )?CLIENT != @NAME (?:update|add) @NAME { jhash CLIENT mod 65535 seed `+
			`HEX(?: `+
			`timeout [0-9]+s)? (?:limit rate over RATE|ct count over [0-9]+) } EXCESS`,
		`		(?:update|add) @NAME { (?:numgen inc mod 1|symhash mod [0-9]+) } EXCESS`,

		`		meta mark set CLIENT map @NAME(?: (?:update @NAME { CLIENT : meta mark } )?jump NAME)?`,
		`		(?:update|delete) @NAME { CLIENT : meta mark }`,
		`		meta mark set (?:FRONTEND \. |HANDED)?SLOT map @NAME`,
		`		drop`,
		`		meta mark set SLOT`,
		`		(?:meta l4proto tcp @th,96,32 & 0x20000 == 0x0 )?fwd IP to (?:FRONTEND \. |HANDED)?SLOT map @NAME `+
			`device "DEVICE"`,
		`		ether saddr set ether daddr ether daddr set (?:FRONTEND \. |HANDED)?SLOT map @NAME fwd to "DEVICE"`,
		`		FAST(?:fib daddr type != local |(?:IP daddr != (?:IP4|IP6|@NAME) )*)IP saddr set WHOLE map @NAME`+
			`(?: PROTO sport set PORTS)? fwd IP to (?:IP4|IP6|IP daddr) device "DEVICE"`,
		`		(?:meta l4proto PROTO |FAST|(?:ip protocol|meta l4proto) PROTO (?:@th,96,32 & 0x20000 == 0x0 )?)?`+
			`IP daddr set (?:FRONTEND \. |WHOLE \. |IP daddr \. th dport \. )?SLOT map @NAMEMOVED `+
			`(?:fwd IP to IP daddr device "DEVICE"|notrack (?:accept|goto NAME))`,
		`		IP daddr set (?:IP4|IP6)`,
		`		IP daddr set numgen inc mod 1 map @NAME update @NAME { numgen inc mod 1 : IP daddr } KNOWN`,
		`		(?:update|delete) @NAME { numgen inc mod 1 : IP daddr }`,
		`		(?:meta l4proto PROTO )?(?:th dport PORTS )?(?:IP daddr (?:set IP daddr map )?|FRONTEND )@NAME`+
			`MOVED (?:fwd IP to IP daddr device "DEVICE"|notrack accept)`,
		`		meta l4proto udp ct state untracked goto NAME`,
		`		udp sport < 32768 iif != "lo" fib saddr type local goto NAME`,
		`		(?:udp sport < 32768|tcp flags & \(fin \| syn \| rst \| ack\) == syn)`+
			`(?: ct state untracked iif != "lo")? fib saddr type local drop`,
		`		(?:udp [sd]port < 32768 )?(?:FRONTEND|RANGED) @NAME (?:jump NAME|drop)`,
		`		(?:FRONTEND|RANGED|(?:ip protocol|meta l4proto) PROTO IP saddr \. th sport) @NAME`+
			`(?: fib daddr type != local)?(?: IP daddr != (?:IP4|IP6|@NAME))* notrack(?: accept)?`,
		`		tcp flags & \(syn \| rst\) == syn jump NAME`,
		`		(?:FRONTEND|RANGED) @NAME tcp option maxseg size set rt mtu`,
		`		IP saddr set FRONTEND map @NAME(?: accept)?`,
		`		(?:ip protocol|meta l4proto) PROTO (?:@th,96,32 & 0x20000 == 0x0 )?(?:oif != "lo" )?`+
			`IP saddr set IP saddr \. th sport map @NAME(?: PROTO sport set PORTS)? accept`,
		`		meta l4proto tcp @th,96,32 & 0x20000 == 0x20000 oif != "lo" goto NAME`,
		`		th sport PORTS IP saddr set meta l4proto \. IP saddr map @NAME accept`,
		`		PROTO sport set (?:PORTS|PROTO sport map @NAME)`,

		`		# the answers to questions that this machine asks from ports of farms`,
		`		# before the chains that hand frames on`,
		`		type filter hook (?:output priority filter - 5|ingress devices = { DEVICES } priority filter - 20)`,
		`		tcp flags & \(fin \| syn \| rst \| ack\) == ack update @NAME { OWNFROM timeout 5d } return`,
		`		meta l4proto { tcp, udp, sctp } update @NAME { OWNFROM }`,
		`		tcp flags & \(fin \| rst\) != 0x0 update @NAME { OWNTO timeout 2m }`,
		`		OWNTO @NAME (?:meta priority set fa12:1 )?goto NAME`,
		`		meta priority fa12:1 accept`,

		`		udp sport < 32768 iif != 0 iif != "lo" jump NAME`,
		`		iif != 0 iif != "lo" fib saddr type local meta iifkind != "vrf" drop`,
		`		(?:iif != "lo" |IP daddrPREFIX @NAME |fib daddr type local )?fib saddr type local drop`,
		`		udp sport < 32768 jump NAME`,
		`		IP daddrPREFIX \.(?: udp dport \.)? IP saddr(?: \. udp sport)? @NAME drop`,
		`		accept`,
		`		tcp flags & \(syn \| ack\) == syn `+
			`(?:(?:FRONTEND \. |HANDED|IP daddr \. th dport \. )?SLOT|FRONTEND) @NAME`,
	)
)

// A reading is a script, read by the grammar. Names in the table netdev farmc begin with "netdev ".
type reading struct {
	Maps   map[string]*readMap
	Chains map[string][]string
}

type readMap struct {
	interval bool
	Learnt   bool // packets fill it
	Elements []readElement
	ByKey    map[string]readElement
}

type readElement struct {
	Key, Value string
	Farm       string // that the comment above names, or else its own comment
	Line       int
}

// ReadScript reads a script, or tells the first line that no form fits.
func ReadScript(text string) (*reading, error) {
	r := &reading{Maps: map[string]*readMap{}, Chains: map[string][]string{}}
	if !strings.HasPrefix(text, opening) || !strings.HasSuffix(text, "\n}\n") {
		return nil, fmt.Errorf("it begins or ends otherwise")
	}
	var m *readMap
	chain, farm, table, object := "", "", "", false
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if i < strings.Count(opening, "\n") {
			continue
		}
		within := m != nil || chain != "" || object
		switch {
		case table == "-" && opensTable.MatchString(line):
			table = "netdev "
		case table == "-" && betweenTables.MatchString(line):
		case within && line == closes:
			m, chain, object = nil, "", false
		case !within && line == "}":
			table = "-"
		case m != nil && ofMap.MatchString(line):
			part := ofMap.FindStringSubmatch(line)
			e := readElement{part[1], part[3], part[2], i + 1}
			if farm != "" {
				e.Farm = farm
			}
			m.Elements = append(m.Elements, e)
			m.ByKey[e.Key] = e
		case m != nil && inMap.MatchString(line):
			m.interval = m.interval || line == "\t\tflags interval"
			m.Learnt = m.Learnt || strings.HasPrefix(line, "\t\tflags dynamic")
			if _, name, ok := strings.Cut(line, "# "); ok {
				farm = name
			}
		case chain != "" && inChain.MatchString(line):
			if !strings.HasPrefix(line, "\t\t# ") {
				r.Chains[chain] = append(r.Chains[chain], line)
			}
		case object && inObject.MatchString(line):
		case table == "-" || within:
			return nil, fmt.Errorf("line %d is of no form: %q", i+1, line)
		case opensMap.MatchString(line):
			farm = ""
			name := table + opensMap.FindStringSubmatch(line)[1]
			if r.Maps[name] != nil {
				return nil, fmt.Errorf("line %d: a second map %s", i+1, name)
			}
			m = &readMap{ByKey: map[string]readElement{}}
			r.Maps[name] = m
		case opensChain.MatchString(line):
			chain = table + opensChain.FindStringSubmatch(line)[1]
			if r.Chains[chain] != nil {
				return nil, fmt.Errorf("line %d: a second chain %s", i+1, chain)
			}
			r.Chains[chain] = []string{}
		case opensObject.MatchString(line):
			object = true
		case !inTable.MatchString(line):
			return nil, fmt.Errorf("line %d is of no form: %q", i+1, line)
		}
	}
	if table != "-" {
		return nil, fmt.Errorf("a table stays open")
	}
	return r, nil
}
