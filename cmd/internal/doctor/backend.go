package doctor

import (
	"fmt"
	"slices"

	"farmc/compiler/farm"
)

// BackendCommands returns the commands, of the shell, that a backend of the farm needs; comments begin with "#". A farm
// in a mode that needs none has a comment alone.
func BackendCommands(f *farm.Farm) []string {
	switch f.Mode {
	case farm.DSR:
		return directReturn(f)
	case farm.DNAT, farm.Stateless:
		return []string{"# Answers of the backend to clients must pass the balancer: let its default route lead there.",
			"# If clients are in the backend's own network, add a route for each of them, or use hairpin (mode dnat).",
			"ip route replace default via ADDRESS-OF-THE-BALANCER"}
	case farm.Local:
		return []string{"# A farm in mode local has no backends."}
	}
	return []string{"# A backend in mode snat needs no change: it sees the balancer as its client."}
}

// directReturn gives the backend the addresses of the service, which it must not announce on its links. The sysctls are
// those of Documentation/networking/ip-sysctl.rst.
func directReturn(f *farm.Farm) []string {
	out := []string{"# IPv4: answer ARP requests for addresses of the link alone, and ask in its name",
		"sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2"}
	var addresses []string
	for _, d := range f.Frontends() {
		if !d.Address.IsValid() {
			continue
		}
		command := fmt.Sprintf("ip address replace %s dev lo", d.Network())
		switch {
		case !d.Network().IsSingleIP():
			command = fmt.Sprintf("ip route replace local %s dev lo", d.Network())
		case d.Address.Is6():
			command += " nodad"
		}
		if !slices.Contains(addresses, command) {
			addresses = append(addresses, command)
		}
	}
	out = append(out, "# the addresses of the service, on the loopback interface and on no other")
	out = append(out, addresses...)
	return append(out, "# to keep it: a file in /etc/sysctl.d, and the addresses in the network's configuration")
}
