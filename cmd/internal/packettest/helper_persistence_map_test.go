package packettest

import (
	"fmt"
	"net/netip"
	"strings"
)

// table is the family of the nft table that holds the persistence map.
func (w statelessPath) table() string {
	if w.farm != "" {
		return "netdev"
	}
	return "inet"
}

// setClients assigns all clients of the farm web to one backend, given by its address in each family.
func (w statelessPath) setClients(backends ...string) step { return setClients(w.table(), backends...) }

// setClients assigns all clients of the farm web, in a table of a family, to one backend, given by its IDs for IPv4 and
// IPv6.
func setClients(table string, stands ...string) step {
	return stepFunc(func(s *testbed) error {
		var script strings.Builder
		for i, to := range []string{"192.0.2.1", "2001:db8::1"} {
			fmt.Fprintf(&script, "flush map %s farmc farm/web/clients-ip%c\n", table, "46"[i])
			for _, client := range s.clients(netip.MustParseAddr(to)) {
				fmt.Fprintf(&script, "add element %s farmc farm/web/clients-ip%c { %s : %s }\n", table, "46"[i], client,
					stands[i])
			}
		}
		return nftScript(script.String()).do(s)
	})
}

// addClients adds clients to the persistence map of the farm web.
func addClients(clients map[string]string) nftScript { return addClientsIn("inet", clients) }

func addClientsIn(table string, clients map[string]string) nftScript {
	var script strings.Builder
	for client, backend := range clients {
		fmt.Fprintf(&script, "add element %s farmc farm/web/clients-ip%s { %s : %s }\n", table,
			family(netip.MustParseAddr(firstWord(client))), client, backend)
	}
	return nftScript(script.String())
}

// fillClients fills the persistence map for IPv4 with clients of b1.
func fillClients(table string) nftScript {
	var all strings.Builder
	fmt.Fprintf(&all, "add element %s farmc farm/web/clients-ip4 { ", table)
	for i := range 1<<16 - 1 {
		fmt.Fprintf(&all, "10.77.%d.%d : 10.2.0.11, ", i>>8, i&255)
	}
	return nftScript(all.String() + "}\n")
}

// listClients is nft's list of the persistence map of the farm web.
func (s *testbed) listClients(table, family string) (string, error) {
	return s.Balancer.Run(s.ctx, "", "nft", "list", "map", table, "farmc", "farm/web/clients-"+family)
}

func noClients(table, family string) step {
	return stepFunc(func(s *testbed) error {
		text, err := s.listClients(table, family)
		if strings.Contains(text, "elements") {
			err = fmt.Errorf("clients are left: %s", text)
		}
		return err
	})
}

// expiryRenewed: the only client in the map has nearly an hour left.
func expiryRenewed(table, family string) step {
	return stepFunc(func(s *testbed) error {
		text, err := s.listClients(table, family)
		if err == nil && !strings.Contains(text, "expires 5") &&
			!strings.Contains(text, "expires 1h") { // minutes, or the whole hour within the same tick
			err = fmt.Errorf("not renewed: %s", text)
		}
		return err
	})
}
