package packettest

import (
	"fmt"
	"strings"

	"farmc/cmd/internal/netlab"
)

// cutScenes: which open connections a load cuts, and which it leaves.
func cutScenes() (all []scene) {
	for _, mode := range []string{"snat", "dnat"} {
		all = append(all, scene{name: "cut-by-state-" + mode, lab: netlab.Options{Backends: 4}, steps: steps{
			farms{"web": fourBackends(mode, "up", "up", "up", "up")},
			chat{by: "tcp udp", to: both},
			chat{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050"},
			farms{"web": fourBackends(mode, "drain", "up", "down", "")},
			then{by: "tcp", with: "b3", answers: nobody},
			then{by: "tcp", with: "b1 b2 b4"},
			then{by: "udp", with: "b1 b2"},
			then{by: "udp", with: "b3 b4", answers: "b2"},
			// nothing more to cut: a reload of something else leaves all
			farms{"web": fourBackends(mode, "drain", "up", "down", ""), "mail": one("snat", `"192.0.2.2:80"`, "b1", 0)},
			then{by: "tcp", with: "b1 b2 b4"},
			then{by: "udp", with: "b1"},
		}})
	}
	return append(all,
		scene{name: "cut-by-farm", steps: steps{
			farms{},
			chat{by: "tcp udp", to: both},
			farms{"web": one("dnat", listenBoth, "b1", 8081)}, // UDP would go past it for ever
			then{by: "tcp", with: "balancer"},
			then{by: "udp", with: "balancer", answers: "b1"},
			chat{by: "tcp udp", to: both},
			farms{"renamed": one("dnat", listenBoth, "b1", 8081)},
			then{by: "tcp udp", with: "b1"},
			farms{"renamed": one("dnat", listenBoth, "b1", 8081, `state = "down"`)},
			then{by: "tcp", with: "b1"},
			then{by: "udp", with: "b1", answers: "balancer"},
			farms{"any": one("snat", `"*:80/tcp,udp"`, "b2", 0)},
			then{by: "tcp", with: "b1"},
			then{by: "udp", with: "balancer", answers: "b2"},
			farms{"any": one("snat", `"*:80/tcp,udp"`, "b2", 0), "web": one("dnat", listenBoth, "b1", 8081)},
			then{by: "udp", with: "b2", answers: "b1"}, // the more particular farm
			farms{},
			then{by: "udp", with: "b1", answers: "balancer"},
			then{by: "tcp", with: "b1"},
		}},
		// a machine may serve two farms, and be down in one
		scene{name: "cut-of-one-farm", steps: steps{
			farms{"web": one("snat", listenBoth, "b1", 0), "mail": one("snat", `"192.0.2.2", "2001:db8::2"`, "b1", 0)},
			chat{by: "tcp udp", to: "192.0.2.2:80 [2001:db8::2]:80"},
			farms{"web": one("snat", listenBoth, "b1", 0) + `state = "down"`, "mail": one("snat", `"192.0.2.2", "2001:db8::2"`, "b1", 0)},
			then{by: "tcp udp", with: "b1"},
			farms{"web": one("snat", listenBoth, "b1", 0), "mail": one("snat", `"192.0.2.2", "2001:db8::2"`, "b1", 0) + `state = "down"`},
			then{by: "tcp udp", with: "b1", answers: nobody},
		}},
		// who tells farmc to end in the middle of a load doesn't leave them to a backend that is down
		scene{name: "cut-though-told-to-end", lab: netlab.Options{Backends: 4}, steps: steps{
			farms{"web": fourBackends("snat", "up", "up", "", "")},
			chat{by: "tcp udp", to: both},
			endingWith{farms{"web": fourBackends("snat", "down", "up", "", "")}},
			then{by: "tcp udp", with: "b2"},
			then{by: "tcp", with: "b1", answers: nobody},
			then{by: "udp", with: "b1", answers: "b2"},
		}},
		// so many that the kernel is not asked for each
		scene{name: "cut-of-many", steps: steps{
			manyFarms("up"),
			chat{by: "tcp udp", to: "192.0.2.3:80 192.0.2.17:80"},
			manyFarms("down"),
			then{by: "tcp udp", with: "b1", answers: nobody},
		}})
}

// fourBackends is a farm of b1 to b4, of which b2 and b4 have a port; one without a state isn't in it.
func fourBackends(mode string, states ...string) string {
	text := `
		mode   = "` + mode + `"
		listen = ["192.0.2.1:80,8000-8100/tcp,udp", "[2001:db8::1]:80,8000-8100/tcp,udp"]
	`
	for i, state := range states {
		if state == "" {
			continue
		}
		text += fmt.Sprintf("[backends.b%d]\naddress = ['10.2.0.1%[1]d', 'fd00:2::1%[1]d']\nstate = '%s'\n", i+1, state)
		if i%2 == 1 {
			text += "port = 8082\n"
		}
	}
	return text
}

// manyFarms are twenty, at 192.0.2.1 to .20, with a backend of that state and many that nobody reaches.
func manyFarms(state string) farms {
	all := farms{}
	for n := 1; n <= 20; n++ {
		all[fmt.Sprint("farm-", n)] = one("snat", fmt.Sprintf(`"192.0.2.%d:80/tcp,udp"`, n), "b1", 8081) + fmt.Sprintf(
			"state = %q\n[backends.far]\naddress = '10.9.0.%d'\nstate = 'down'\n", state, n)
	}
	if state == "up" {
		return all
	}
	for name := range all {
		all[name] = strings.Replace(all[name], "10.9.0.", "10.9.1.", 1)
	}
	return all
}
