package farm

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"

	"farmc/compiler/addr"
)

// Addresses and entries of listen as other programs write them. A hint has the entry as it would be right, if a change
// of the text makes it so.

// maxCorrected is the number of bytes of a text that is corrected: a file may have any number of wrong entries.
const maxCorrected = 200

// corrections change an entry of listen that is written otherwise. Each one gets the text that the others left.
var corrections = []func(string) string{
	strings.ToLower,
	func(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), ", ", ",") },
	schemeBehind,
	replacing(`(:\d+)\s+(tcp|udp|sctp)$`, "$1/$2"),
	replacing(`^(\S*\d)\s+(\d+)$`, "$1:$2"),
	replacing(`\s+(ssl|default_server|reuseport|transparent|interface \S+)$`, ""),
	replacing(`^(any|all|localhost|0)?:(\d)`, "*:$2"),
	replacing(`^(\d+)(/|$)`, "*:$1$2"),
	replacing(`(:\d+)(\.\.|:)(\d+)`, "$1-$3"),
	replacing(`;`, ","),
	replacing(`/(tcp\+udp|udp\+tcp|both|any|tcp/udp|tcp_udp|tcpudp)$`, "/tcp,udp"),
	replacing(`/(6|tcp4|tcp6)$`, "/tcp"), replacing(`/(17|udp4|udp6)$`, "/udp"),
	replacing(`/https?$`, "/tcp"),
	replacing(`:http\b`, ":80"), replacing(`:https\b`, ":443"), replacing(`:(domain|dns)\b`, ":53"),
	replacing(`:ssh\b`, ":22"), replacing(`:smtp\b`, ":25"),
	withoutMapping,
}

func replacing(pattern, with string) func(string) string {
	re := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
	return func(text string) string { return re().ReplaceAllString(text, with) }
}

// schemeBehind writes tcp://192.0.2.1:80 as 192.0.2.1:80/tcp, and gives the URL of a web server its port.
func schemeBehind(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	rest = strings.TrimSuffix(rest, "/")
	port := map[string]string{"http": ":80", "https": ":443"}[scheme]
	switch {
	case !ok:
		return text
	case port == "":
		return rest + "/" + scheme
	case strings.LastIndexByte(rest, ':') > strings.LastIndexByte(rest, ']'):
		return rest
	}
	return rest + port
}

// withoutMapping writes ::ffff:192.0.2.1 as 192.0.2.1.
var withoutMapping = replacing(`\[?::ffff:(\d+\.\d+\.\d+\.\d+)\]?`, "$1")

// correctedListen is the hint about an entry of listen: the entry as it would be right, or else the rule.
func correctedListen(text string) string {
	if p, rest, ok := hostInNetwork(text); ok {
		return fmt.Sprintf("%q, or %q for the whole network", p.Addr().String()+rest, p.Masked().String()+rest)
	}
	if len(text) > maxCorrected {
		return listenRule
	}
	right := text
	for _, correct := range corrections {
		if right = correct(right); right == text {
			continue
		}
		if _, err := parseListen(right); err == nil {
			return fmt.Sprintf("%q", right)
		}
	}
	return listenRule
}

// hostInNetwork splits an entry with the address of a machine and the length of its network, as ip address shows it.
func hostInNetwork(text string) (p netip.Prefix, rest string, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return p, "", false
	}
	p, err := netip.ParsePrefix(text[:i])
	if err != nil || p.Masked() == p || !p.Addr().Is4() {
		return p, "", false
	}
	_, err = parseListen(p.Addr().String() + text[i:])
	return p, text[i:], err == nil
}

// correctedAddress is the hint about an address: the address as it would be right, or else what an address is.
func correctedAddress(text string) string {
	if len(text) > maxCorrected {
		return addressHint
	}
	bare := withoutMapping(strings.TrimSpace(text))
	if _, after, ok := strings.Cut(bare, "://"); ok {
		bare = strings.TrimSuffix(after, "/")
	}
	if at, err := netip.ParseAddrPort(bare); err == nil && isSendable(at.Addr()) {
		return fmt.Sprintf("address = %q, and port = %d", at.Addr(), at.Port())
	}
	if p, err := netip.ParsePrefix(bare); err == nil && isSendable(p.Addr()) && (p.IsSingleIP() || p != p.Masked()) {
		return fmt.Sprintf("%q: a backend is one machine", p.Addr())
	}
	if a, err := addr.ParseAddress(strings.Trim(bare, "[]")); err == nil && isSendable(a) {
		return fmt.Sprintf("%q", a)
	}
	if first, _, ok := cutAny(bare, ",- "); ok {
		if _, err := addr.ParseAddress(first); err == nil {
			return "a table [backends.NAME] for each machine; a list is for an IPv4 and an IPv6 address of one machine"
		}
	}
	return addressHint
}

func isSendable(a netip.Addr) bool { return a.Zone() == "" && !a.Is4In6() && reachable(a) }

func cutAny(text, separators string) (before, after string, ok bool) {
	if i := strings.IndexAny(text, separators); i >= 0 {
		return text[:i], text[i+1:], true
	}
	return text, "", false
}
