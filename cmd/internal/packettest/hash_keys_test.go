package packettest

import (
	"fmt"
	"net/netip"
	"strings"
)

// hashKeyCases: the backend of a connection depends exactly on the keys of hash-on. Each of the 63 combinations has a
// farm. For each key there are packets that differ from the first one in this key only. They all reach the first one's
// backend if the farm does not hash the key; if it does, some reach another. All farms hash into two slots with a known
// seed, and MAC addresses are fixed, so every run gives the same result.
var hashKeyCases = []testCase{
	{name: "hash-on-every-combination-ip4", steps: steps{keyCombinations{ip4Many, listenOnPorts, hashedOn}}},
	{name: "hash-on-every-combination-ip6", steps: steps{keyCombinations{ip6Many, listenOnPorts, hashedOn}}},
	{name: "hash-on-every-combination-range-ip4", steps: steps{keyCombinations{ip4Many, listenOnRange, hashedOn}}},
	{name: "hash-on-every-combination-range-ip6", steps: steps{keyCombinations{ip6Many, listenOnRange, hashedOn}}},
	{name: "hash-on-every-combination-whole-ip4", steps: steps{keyCombinations{ip4Many, listenOnAll, hashedOn}}},
	{name: "persistence-on-every-combination-ip4", steps: steps{keyCombinations{ip4Many, listenOnPorts, persistentOn}}},
	{name: "persistence-on-every-combination-ip6", steps: steps{keyCombinations{ip6Many, listenOnPorts, persistentOn}}},
	{name: "persistence-on-every-combination-range-ip4",
		steps: steps{keyCombinations{ip4Many, listenOnRange, persistentOn}}},
	{name: "persistence-on-every-combination-range-ip6",
		steps: steps{keyCombinations{ip6Many, listenOnRange, persistentOn}}},
	{name: "persistence-on-every-combination-whole-ip4",
		steps: steps{keyCombinations{ip4Many, listenOnAll, persistentOn}}},
	{name: "persistence-on-every-combination-whole-ip6",
		steps: steps{keyCombinations{ip6Many, listenOnAll, persistentOn}}},
	{name: "hash-on-every-combination-whole-ip6", steps: steps{keyCombinations{ip6Many, listenOnAll, hashedOn}}},
}

var (
	ip4Many = addressFormats{"198.18.%d.%d", "198.51.100.%d"}
	ip6Many = addressFormats{"2001:db8:5:%d::%d", "2001:db8:c::%d"}
)

// hashedOn farms hash the keys.
func hashedOn(_ keyCombinations, keys []string) string {
	return fmt.Sprintf("scheduler = \"hash\"\nhash-on = [%s]\n", strings.Join(keys, ", "))
}

// persistentOn farms hash all of the packet, except for packets with the same persistence keys.
func persistentOn(c keyCombinations, keys []string) string {
	all := `"source-address", "destination-address", "source-mac", "destination-mac"`
	if !c.whole() {
		all += `, "source-port", "destination-port"`
	}
	return fmt.Sprintf("scheduler = \"hash\"\nhash-on = [%s]\npersistence = { on = [%s], timeout = \"1h\" }\n", all,
		strings.Join(keys, ", "))
}

func listenOnPorts(at netip.Addr, n int) string {
	ports := []string{netip.AddrPortFrom(at, firstPort).String()}
	for i := 1; i < n; i++ {
		ports = append(ports, fmt.Sprint(firstPort+i))
	}
	return strings.Join(ports, ",") + "/udp"
}

func listenOnRange(at netip.Addr, n int) string {
	return fmt.Sprintf("%s-%d/udp", netip.AddrPortFrom(at, firstPort), firstPort+max(n, 2)-1)
}

func listenOnAll(at netip.Addr, _ int) string { return at.String() + "/all" }
