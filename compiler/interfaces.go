package compiler

import (
	"net"
	"regexp"
	"slices"
)

// interfaceNaming is what Linux and nft take for the name of a network interface (IFNAMSIZ, dev_valid_name).
var interfaceNaming = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$`)

func readInterfaces(t *table, key string) []string {
	var out []string
	for _, w := range t.words(key) {
		switch {
		case !interfaceNaming.MatchString(w.text):
			t.fault(w.place, "", "%s: %q can't be the name of an interface", key, w.text)
		case slices.Contains(out, w.text):
			t.fault(w.place, "", "%s: %s stands here twice", key, w.text)
		default:
			out = append(out, w.text)
		}
	}
	return out
}

func readInterface(t *table) string {
	name := t.text("interface")
	if name != "" && !interfaceNaming.MatchString(name) {
		t.fault(t.at("interface"), "", "interface: %q can't be the name of an interface", name)
	}
	return name
}

func readMAC(t *table) string {
	text := t.text("mac")
	if text == "" {
		return ""
	}
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 {
		t.fault(t.at("mac"), `mac = "02:00:00:00:00:01"`, "mac: %q is not an Ethernet address", text)
	}
	return mac.String()
}
