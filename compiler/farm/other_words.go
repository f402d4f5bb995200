package farm

import (
	"fmt"

	"farmc/compiler/toml"
)

// Words of other programs (IPVS, keepalived, HAProxy, nginx) stand in farms of newcomers. The hint names the word of
// this format, or says that the kernel has no such thing.

// otherValues are values of other programs, by key.
var otherValues = map[string]map[string]string{
	"scheduler": {
		"rr": `scheduler = "round-robin"`, "wrr": `scheduler = "round-robin", and weight in the backends`,
		"roundrobin": `scheduler = "round-robin"`, "round_robin": `scheduler = "round-robin"`,
		"sh": `scheduler = "hash"`, "source": `scheduler = "hash"`, "ip_hash": `scheduler = "hash"`,
		"mh": `scheduler = "maglev"`, "static-rr": `scheduler = "round-robin"`,
		"lc": leastConnections, "wlc": leastConnections, "sed": leastConnections, "nq": leastConnections,
		"lblc": leastConnections, "lblcr": leastConnections, "leastconn": leastConnections,
		"least_conn": leastConnections,
	},
	"mode": {
		"nat": `mode = "snat" or "dnat"`, "masq": `mode = "dnat"`, "fullnat": `mode = "snat"`, "dr": `mode = "dsr"`,
		"gate": `mode = "dsr"`, "direct": `mode = "dsr"`,
		"tun": "nftables makes no tunnels for a farm; mode = \"dsr\" needs backends on the same link",
	},
}

const leastConnections = `scheduler = "least-connections"`

// otherKeys are keys of other programs.
var otherKeys = map[string]string{
	"backup":         "priority in [backends.NAME], greater for a backend that serves once the others are down",
	"maxconn":        "connections in [limits] or in [backends.NAME]",
	"max-conns":      "connections in [limits] or in [backends.NAME]",
	"max_conns":      "connections in [limits] or in [backends.NAME]",
	"health-check":   "a table [health]",
	"healthcheck":    "a table [health]",
	"health_check":   "a table [health]",
	"check":          "a table [health]",
	"virtualport":    `listen = "ADDRESS:PORT"`,
	"sched":          "scheduler",
	"lb_algo":        "scheduler",
	"lb_kind":        "mode",
	"balance":        "scheduler",
	"algorithm":      "scheduler",
	"real_server":    "a table [backends.NAME]",
	"server":         "a table [backends.NAME]",
	"servers":        "a table [backends.NAME] for each",
	"upstream":       "a table [backends.NAME] for each",
	"sticky":         "a table [persistence]",
	"ip":             "address",
	"whitelist":      "allow in [access]",
	"blacklist":      "deny in [access]",
	"rate-limit":     "new-per-client in [limits]",
	"port-range":     "listen = \"ADDRESS:FIRST-LAST\"",
	"virtual-ip":     "listen",
	"vip":            "listen",
	"bind":           "listen",
	"proxy_pass":     "a table [backends.NAME] for each backend",
	"send-proxy":     noProxyProtocol,
	"proxy-protocol": noProxyProtocol,
}

const noProxyProtocol = "nftables changes no data; modes dnat and dsr keep the client's address"

// otherWords is the hint about a value or an unknown key.
func otherWords(t *toml.Table, key string, value any) string {
	if value == nil {
		return otherKey(t, key)
	}
	if text, ok := value.(string); ok && otherValues[key][text] != "" {
		return otherValues[key][text]
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
	return otherKeys[key]
}
