package packettest

import (
	"fmt"
	"strings"
)

// groupedFarm is a farm of the group shop, with its own backends.
func groupedFarm(mode, listen string, backends ...string) string {
	text := "mode = '" + mode + "'\nlisten = [" + listen + "]\n[persistence]\ngroup = 'shop'\ntimeout = '30d'\n"
	for _, b := range backends {
		name, keys, _ := strings.Cut(b, " ")
		number := name[len(name)-1:]
		text += fmt.Sprintf("[backends.%s]\naddress = ['10.2.0.1%s', 'fd00:2::1%[2]s']\n%s\n", name, number, keys)
	}
	return text
}

// The services of two farms.
const (
	shopHTTP    = `"192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"`
	shopAPI     = `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`
	bothOfGroup = service1 + " " + service2
)

// persistenceGroupCases: farms of a group send a client to the backend of the same name.
var persistenceGroupCases = []testCase{
	{name: "group", steps: steps{
		farms{"http": groupedFarm("snat", shopHTTP, "b1", "b2", "b3"),
			"api": groupedFarm("dnat", shopAPI, "b1", "b2", "b3")},
		keepBackend{name: "group", to: bothOfGroup, sees: "any"},
		farms{"http": groupedFarm("snat", shopHTTP, "b1", "b2", "b3"),
			"api": groupedFarm("dnat", shopAPI, "b0 state = 'down'", "b1 state = 'drain'", "b2 weight = 9", "b3")},
		keepBackend{name: "group", to: bothOfGroup, sees: "any"},
		farms{"http": groupedFarm("snat", shopHTTP, "b1", "b2", "b3")},
		keepBackend{name: "group", to: service1, sees: "balancer"},
	}},
	// names count, and not addresses
	{name: "group-of-crossed-names", steps: steps{
		farms{"http": groupedFarm("snat", shopHTTP, "b1", "b2"),
			"api": strings.NewReplacer("backends.b1", "backends.b2", "backends.b2", "backends.b1").
				Replace(groupedFarm("snat", shopAPI, "b1", "b2"))},
		keepBackend{name: "http", to: service1, sees: "balancer"},
		keepBackend{name: "api", to: service2, sees: "balancer"},
		keepBackend{name: "http", to: service1, sees: "balancer"},
		differentBackends{"http", "api"},
	}},
	// without a group some clients have two backends
	{name: "group-of-another-name", steps: steps{
		farms{"http": groupedFarm("snat", shopHTTP, "b1", "b2"),
			"api": strings.Replace(groupedFarm("snat", shopAPI, "b1", "b2"), "shop", "other", 1)},
		keepBackend{name: "http", to: service1, sees: "balancer"},
		keepBackend{name: "api", to: service2, sees: "balancer"},
		differentBackends{"http", "api"},
	}},
	// a client of a backend that the other farm lacks is balanced anew there, and the group follows
	{name: "group-with-a-backend-of-one-farm", steps: steps{
		farms{"http": groupedFarm("snat", shopHTTP, "b1", "b2", "b3"), "api": groupedFarm("snat", shopAPI, "b1", "b2")},
		keepBackend{name: "at first", to: service1, sees: "balancer"},
		keepBackend{name: "api", to: service2, sees: "balancer", among: "b1 b2"},
		keepBackend{name: "api", to: bothOfGroup, sees: "balancer", among: "b1 b2"},
		farms{"http": groupedFarm("snat", shopHTTP, "b1", "b2", "b3"),
			"api": groupedFarm("snat", shopAPI, "b1", "b2 state = 'down'")},
		keepBackend{name: "down", to: service2, sees: "balancer", among: "b1"},
		keepBackend{name: "down", to: bothOfGroup, sees: "balancer", among: "b1"},
	}},
	{name: "group-with-backend-limits", steps: steps{
		farms{"http": groupedFarm("snat", shopHTTP, "b1 connections = 9000", "b2 connections = 9000"),
			"api": groupedFarm("dnat", shopAPI, "b1 connections = 8000", "b2 connections = 7000")},
		keepBackend{name: "group", to: bothOfGroup, sees: "any"},
	}},
	{name: "timeout-of-30-days", steps: steps{
		persistentFarm("", "timeout = '30d'", ""),
		addClients(map[string]string{"198.51.100.2 timeout 30d expires 25d": "10.2.0.12",
			"2001:db8:c::2 timeout 30d expires 25d": "100::a02:c"}),
		clientRequests{"198.51.100.2", "tcp", "192.0.2.1:80", "b2"},
		clientRequests{"2001:db8:c::2", "tcp", "[2001:db8::1]:80", "b2"},
		expires{"ip4", "29d23h"}, expires{"ip6", "29d23h"},
	}},
}

// expires: the only client in the map has so much time left.
type expires struct{ family, begins string }

func (e expires) do(s *testbed) error {
	text, err := s.listClients("inet", e.family)
	if err == nil && !strings.Contains(text, "expires "+e.begins) && !strings.Contains(text, "expires 30d") {
		err = fmt.Errorf("want %s left: %s", e.begins, text) // 30d is within the same tick
	}
	return err
}
