package packettest

import (
	"fmt"
	"net/netip"
	"strings"
)

// keyScenes: the backend of a connection depends on exactly the keys that a farm hashes on. For each of their 63
// combinations there is a farm, and for each key a number of packets that differ from the first one in it alone:
// they meet the backend of the first one if the farm doesn't hash on it, else not all of them do. All farms hash
// into two slots with a known seed, and MAC addresses are given, so every run sees the same.
var keyScenes = []scene{
	{name: "hash-on-every-combination-ip4", steps: steps{combinations{ip4Many, listenOnPorts, hashedOn}}},
	{name: "hash-on-every-combination-ip6", steps: steps{combinations{ip6Many, listenOnPorts, hashedOn}}},
	{name: "hash-on-every-combination-range-ip4", steps: steps{combinations{ip4Many, listenOnRange, hashedOn}}},
	{name: "hash-on-every-combination-range-ip6", steps: steps{combinations{ip6Many, listenOnRange, hashedOn}}},
	{name: "hash-on-every-combination-whole-ip4", steps: steps{combinations{ip4Many, listenOnAll, hashedOn}}},
	{name: "persistence-on-every-combination-ip4", steps: steps{combinations{ip4Many, listenOnPorts, persistentOn}}},
	{name: "persistence-on-every-combination-ip6", steps: steps{combinations{ip6Many, listenOnPorts, persistentOn}}},
	{name: "persistence-on-every-combination-range-ip4", steps: steps{combinations{ip4Many, listenOnRange, persistentOn}}},
	{name: "persistence-on-every-combination-range-ip6", steps: steps{combinations{ip6Many, listenOnRange, persistentOn}}},
	{name: "persistence-on-every-combination-whole-ip4", steps: steps{combinations{ip4Many, listenOnAll, persistentOn}}},
	{name: "persistence-on-every-combination-whole-ip6", steps: steps{combinations{ip6Many, listenOnAll, persistentOn}}},
	{name: "hash-on-every-combination-whole-ip6", steps: steps{combinations{ip6Many, listenOnAll, hashedOn}}},
}

var (
	ip4Many = many{"198.18.%d.%d", "198.51.100.%d"}
	ip6Many = many{"2001:db8:5:%d::%d", "2001:db8:c::%d"}
)

// hashedOn farms have the keys hashed.
func hashedOn(_ combinations, keys []string) string {
	return fmt.Sprintf("scheduler = \"hash\"\nhash-on = [%s]\n", strings.Join(keys, ", "))
}

// persistentOn farms send every packet where all of it is hashed to, but for those that have the same keys.
func persistentOn(c combinations, keys []string) string {
	all := `"source-address", "destination-address", "source-mac", "destination-mac"`
	if !c.whole() {
		all += `, "source-port", "destination-port"`
	}
	return fmt.Sprintf("scheduler = \"hash\"\nhash-on = [%s]\npersistence = { on = [%s], timeout = \"1h\" }\n", all, strings.Join(keys, ", "))
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

func listenOnAll(at netip.Addr, _ int) string { return at.String() }
