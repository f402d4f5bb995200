package packettest

import (
	"fmt"
	"strings"
	"testing"
)

// TestInterfaces: of a farm that names interfaces is what comes in there, and what comes in elsewhere is left alone.
func TestInterfaces(t *testing.T) {
	t.Parallel()
	play(t, interfaceScenes())
	play(t, symmetricScenes())
}

// doors are asked, one of each kind, of a farm that takes everyDoor.
var doors = []string{both, "192.0.2.1:8050 [2001:db8::1]:8050", bothSecond}

func interfaceScenes() (all []scene) {
	for _, mode := range []struct{ name, sees string }{{"snat", "balancer"}, {"dnat", ""}} {
		for _, scheduler := range []string{"random", "round-robin", "hash", "symmetric-hash", "maglev"} {
			farm := func(interfaces string, more ...string) farms {
				return farms{"web": one(mode.name, everyDoor, "b1", 0, append(more, "interfaces = "+interfaces, fmt.Sprintf("scheduler = %q", scheduler))...)}
			}
			c := scene{name: strings.Join([]string{"interfaces", mode.name, scheduler}, "-")}
			for _, to := range doors {
				port := to[strings.LastIndex(to, ":")+1:]
				served := ask{by: "tcp udp", to: to, shares: shares{"b1:" + port: 1}, sees: mode.sees}
				alone := ask{by: "tcp udp", to: to, shares: shares{"balancer:" + port: 1}}
				fromHere := ask{from: "balancer", by: "tcp udp", to: to, shares: shares{"balancer:" + port: 1}, sees: strings.NewReplacer(":"+port, "", "[", "", "]", "").Replace(to)}
				inside := alone
				inside.from = "b3"
				c.steps = append(c.steps,
					farm(`["eth0"]`), served, inside, fromHere,
					farm(`["eth0", "eth7"]`), served, inside,
					farm(`["eth1"]`), alone, fromHere)
			}
			all = append(all, c)
		}
	}
	return append(all, []scene{
		{name: "interfaces-from-inside", steps: steps{
			farms{"web": one("snat", everyDoor, "b1", 0, `interfaces = ["eth1"]`)},
			ask{from: "b3", by: "tcp udp", to: both, shares: shares{"b1:80": 1}, sees: "balancer"},
			ask{by: "tcp udp", to: both, shares: shares{"balancer:80": 1}},
			farms{"web": one("snat", everyDoor, "b1", 0, `interfaces = ["eth1", "eth0"]`)},
			ask{from: "b3", by: "tcp udp", to: both, shares: shares{"b1:80": 1}, sees: "balancer"},
			ask{by: "tcp udp", to: both, shares: shares{"b1:80": 1}, sees: "balancer"},
		}},
		{name: "interfaces-and-local-clients", steps: steps{
			farms{"web": one("snat", everyDoor, "b1", 0, `interfaces = ["eth0"]`, "local-clients = true")},
			ask{from: "balancer", by: "tcp udp", to: both + " " + bothSecond, shares: shares{"b1:80": 1}, sees: "balancer"},
			ask{by: "tcp udp", to: both, shares: shares{"b1:80": 1}, sees: "balancer"},
			ask{from: "b3", by: "tcp udp", to: both, shares: shares{"balancer:80": 1}},
		}},
		{name: "interfaces-of-any-address", steps: steps{
			farms{"web": one("snat", `"*:80,8000-8100/tcp,udp"`, "b1", 0, `interfaces = ["eth0"]`)},
			ask{by: "tcp udp", to: both, shares: shares{"b1:80": 1}, sees: "balancer"},
			ask{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 1}, sees: "balancer"},
			ask{from: "b3", by: "tcp udp", to: both, shares: shares{"balancer:80": 1}},
			ask{from: "b3", by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"balancer:8050": 1}},
		}},
		{name: "interfaces-without-backend", steps: steps{
			farms{"web": one("dnat", everyDoor, "b1", 0, `interfaces = ["eth0"]`) + `state = "down"`},
			refused{by: "tcp udp", to: both + " " + bothSecond},
			ask{from: "b3", by: "tcp udp", to: both + " " + bothSecond, shares: shares{"balancer:80": 1}},
		}},
		{name: "interfaces-beside-another-farm", steps: steps{
			farms{
				"port":  one("snat", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b1", 0, `interfaces = ["eth0"]`),
				"other": one("snat", `"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, "b2", 0),
			},
			ask{by: "tcp udp", to: bothSecond, shares: shares{"b1:80": 1}, sees: "balancer"},
			ask{from: "b3", by: "tcp udp", to: bothSecond, shares: shares{"balancer:80": 1}},
			ask{from: "b3", by: "tcp udp", to: "192.0.2.3:80 [2001:db8::3]:80", shares: shares{"b2:80": 1}, sees: "balancer"},
		}},
	}...)
}

func symmetricScenes() (all []scene) {
	for _, mode := range []struct{ name, sees string }{{"snat", "balancer"}, {"dnat", ""}} {
		all = append(all, scene{name: "symmetric-hash-" + mode.name, steps: steps{
			farms{"web": strings.NewReplacer("MODE", mode.name, "SCHEDULER", "symmetric-hash").Replace(weighted)},
			ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: mode.sees},
			farms{"web": whole(mode.name, "symmetric-hash")},
			ask{by: "tcp udp", to: both, shares: shares{"b1:80": 3, "b2:80": 1}, sees: mode.sees, times: 200},
			pings{to: "192.0.2.1 2001:db8::1", shares: shares{"b1": 3, "b2": 1}},
		}})
	}
	for _, arm := range arms {
		lab := arm.lab
		lab.NoVIPs = true // who asks for a neighbour on behalf of a packet asks as its source, if that is its own
		all = append(all, scene{name: "symmetric-hash-both-ways-" + arm.name, lab: lab, steps: steps{
			farms{"web": arm.farm(`"192.0.2.1:8000-8100/udp", "192.0.2.2:8000-8100/udp", "[2001:db8::1]:8000-8100/udp", "[2001:db8::2]:8000-8100/udp"`, `scheduler = "symmetric-hash"`)},
			bothWays{"192.0.2.1", "192.0.2.2"}, bothWays{"2001:db8::1", "2001:db8::2"},
		}})
	}
	return all
}
