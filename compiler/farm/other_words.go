package farm

import (
	"fmt"
	"strings"

	"farmc/compiler/toml"
)

// Words of other programs (IPVS, keepalived, HAProxy, nginx, Kubernetes) stand in farms of newcomers. The hint names
// the word of this format, or says that the kernel has no such thing. Words that differ in case, or in '-' and '_', are
// the same.

// otherValues are values of other programs, by key.
var otherValues = map[string]map[string]string{
	"scheduler": {
		"rr": `scheduler = "round-robin"`, "wrr": `scheduler = "round-robin", and weight in the backends`,
		"roundrobin": `scheduler = "round-robin"`, "staticrr": `scheduler = "round-robin"`,
		"weightedroundrobin": `scheduler = "round-robin", and weight in the backends`,
		"sh":                 `scheduler = "hash"`, "source": `scheduler = "hash"`, "iphash": `scheduler = "hash"`,
		"mh": `scheduler = "maglev"`,
		"lc": leastConnections, "wlc": leastConnections, "sed": leastConnections, "nq": leastConnections,
		"lblc": leastConnections, "lblcr": leastConnections, "leastconn": leastConnections,
		"leastconns": leastConnections, "leastconnections": leastConnections,
		"fo": `priority in the backends: the smallest one that is up serves`,
	},
	"mode": {
		"nat": `mode = "snat" or "dnat"`, "masq": `mode = "dnat"`, "fullnat": `mode = "snat"`, "dr": `mode = "dsr"`,
		"gate": `mode = "dsr"`, "direct": `mode = "dsr"`, "route": `mode = "dsr"`, "masquerade": `mode = "snat"`,
		"tcp": fourthLayer, "http": fourthLayer,
		"tun": noTunnels, "ipip": noTunnels, "tunnel": noTunnels,
	},
	"state": {
		"active": isUp, "enabled": isUp, "enable": isUp, "ready": isUp, "online": isUp, "up": isUp,
		"disabled": isDown, "disable": isDown, "maint": isDown, "maintenance": isDown, "offline": isDown,
		"inactive": isDown, "down": isDown, "draining": isDraining, "drain": isDraining,
		"backup": otherPriority, "standby": otherPriority, "spare": otherPriority,
	},
}

const (
	leastConnections = `scheduler = "least-connections"`
	fourthLayer      = `mode = "snat"; a farm hands on connections, whatever they carry`
	noTunnels        = "nftables makes no tunnels for a farm; mode = \"dsr\" needs backends on the same link"
	isUp             = `state = "up"`
	isDown           = `state = "down" cuts open connections; "drain" lets them end`
	isDraining       = `state = "drain"`
	tableOfEach      = "a table [backends.NAME] for each"
	aTableOf         = "a table [backends.NAME]"
	ofHealth         = "a table [health]"
	ofPersistence    = "a table [persistence]"
	ofConnections    = "connections in [limits] or in [backends.NAME]"
	ofProtocol       = `listen = "ADDRESS:PORT/PROTOCOL", such as "192.0.2.1:53/tcp,udp"`
	ofState          = `state = "up", "drain" or "down" in [backends.NAME]`
	namesElsewhere   = "the name of a farm is that of its file, and the name of a backend stands in [backends.NAME]"
	otherPriority    = "priority in [backends.NAME], greater for a backend that serves once the others are down"
)

// otherKeys are keys of other programs, in lower case and without '-' and '_'.
var otherKeys = map[string]string{
	"backup":  otherPriority,
	"maxconn": ofConnections, "maxconns": ofConnections, "maxconnections": ofConnections, "uthreshold": ofConnections,
	"healthcheck": ofHealth, "check": ofHealth, "delayloop": ofHealth, "tcpcheck": ofHealth, "httpget": ofHealth,
	"sslget": ofHealth, "misccheck": ofHealth, "inter": ofHealth, "rise": ofHealth, "fall": ofHealth,
	"maxfails": ofHealth, "failtimeout": ofHealth, "option": ofHealth, "connecttimeout": ofHealth,
	"livenessprobe": ofHealth, "readinessprobe": ofHealth,
	"sched": "scheduler", "lbalgo": "scheduler", "lvssched": "scheduler", "balance": "scheduler",
	"algorithm": "scheduler", "method": "scheduler", "lbmethod": "scheduler",
	"leastconn": leastConnections, "iphash": `scheduler = "hash"`, "hash": `scheduler = "hash"`,
	"lbkind": "mode", "lvsmethod": "mode", "forwarding": "mode", "snat": `mode = "snat"`, "dnat": `mode = "dnat"`,
	"dsr": `mode = "dsr"`, "nat": `mode = "snat" or "dnat"`, "masquerade": `mode = "snat"`, "masq": `mode = "snat"`,
	"realserver": aTableOf, "server": aTableOf, "destination": aTableOf, "dest": "address",
	"servers": tableOfEach, "upstream": tableOfEach, "realservers": tableOfEach, "endpoints": tableOfEach,
	"proxypass": "a table [backends.NAME] for each backend",
	"sticky":    ofPersistence, "stickiness": ofPersistence, "stickysessions": ofPersistence, "stick": ofPersistence,
	"sticktable": ofPersistence, "persistent": ofPersistence, "sessionaffinity": ofPersistence,
	"persistencetimeout": "timeout in [persistence]", "persistencegranularity": "prefix in [persistence]",
	"netmask": "prefix in [persistence]", "granularity": "prefix in [persistence]",
	"ip": "address", "host": "address", "realport": "port", "targetport": "port in [backends.NAME]",
	"protocol":  ofProtocol,
	"whitelist": "allow in [access]", "blacklist": "deny in [access]", "allow": "allow in [access]",
	"deny": "deny in [access]", "allowlist": "allow in [access]", "denylist": "deny in [access]",
	"loadbalancersourceranges": "allow in [access]",
	"ratelimit":                "new-per-client in [limits]", "limitconn": "connections-per-client in [limits]",
	"limitreq":    "new-per-client in [limits]",
	"portrange":   `listen = "ADDRESS:FIRST-LAST"`,
	"virtualport": `listen = "ADDRESS:PORT"`,
	"virtualip":   "listen", "vip": "listen", "bind": "listen", "virtualserver": "listen", "virtualaddress": "listen",
	"virtualipaddress": "listen", "frontend": "listen", "clusterip": "listen", "loadbalancerip": "listen",
	"externalips": "listen", "nodeport": `listen = "*:30080"`,
	"down": isDown, "disabled": ofState, "enabled": ofState, "drain": isDraining, "adminstate": ofState,
	"sorryserver": otherPriority,
	"dev":         "interfaces",
	"source":      "source-address",
	"name":        namesElsewhere, "comment": "description",
	"fwmark":    "listen; the key mark gives the farm's connections a mark",
	"sendproxy": noProxyProtocol, "proxyprotocol": noProxyProtocol, "sendproxyv2": noProxyProtocol,
	"tls": noData, "ssl": noData, "cookie": noData,
	"externaltrafficpolicy": `mode = "dnat" keeps the client's address`,
}

const noData = "nftables sees no data of connections; the backends do that"

// plain is a word as otherKeys and otherValues have it.
func plain(word string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(word))
}

const noProxyProtocol = "nftables changes no data; modes dnat and dsr keep the client's address"

// otherWords is the hint about a value or an unknown key.
func otherWords(t *toml.Table, key string, value any) string {
	if value == nil {
		return otherKey(t, key)
	}
	if text, ok := value.(string); ok && otherValues[key][plain(text)] != "" {
		return otherValues[key][plain(text)]
	}
	switch number, isNumber := value.(int64); {
	case key == "weight" && isNumber && number == 0:
		return `state = "drain" lets open connections end; "down" cuts them`
	case key == "port" && !isNumber && t.Name != "health":
		return "port = 8080 for all ports of the farm; ports = { 80 = 8080, 443 = 8443 } gives each port its own"
	case key == "listen" && isNumber:
		return fmt.Sprintf(`listen = "192.0.2.1:%d", with the address that clients ask for; `+
			`"*:%[1]d" is each of this machine`, number)
	case key == "persistence":
		if text, ok := value.(string); ok {
			return fmt.Sprintf("persistence = { timeout = %q }", text)
		}
	}
	return ""
}

// otherKey is the hint about an unknown key.
func otherKey(t *toml.Table, key string) string {
	if key == "interface" && t.Top() == t {
		return "interfaces are those of the farm; interface is one of [backends.NAME]"
	}
	if words := otherKeys[plain(key)]; words != "" {
		return words
	}
	return otherTables(t, key)
}

// otherTables names the tables of the format that know the key, unless the farm's own tables have a suggestion.
func otherTables(t *toml.Table, key string) string {
	if t.Suggests(key) {
		return ""
	}
	var tables []string
	for _, k := range Keys() {
		switch {
		case k.Name != key || k.Table == "":
		case k.Table == "backends":
			tables = append(tables, "[backends.NAME]")
		default:
			tables = append(tables, "["+k.Table+"]")
		}
	}
	if len(tables) == 0 {
		return ""
	}
	return key + " belongs in " + strings.Join(tables, " or ")
}
