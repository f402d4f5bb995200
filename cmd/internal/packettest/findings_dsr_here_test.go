package packettest

import "testing"

// dsrHere is a dsr farm with its only backend on the balancer.
const dsrHere = `
	mode       = "dsr"
	listen     = ["192.0.2.1:80"]
	interfaces = ["eth0"]
	[backends.here]
	address = "10.2.0.1"
`

var asksHere = request{by: "tcp", to: "192.0.2.1:80", shares: shares{"balancer:80": 1}, times: 1}

var asksDirectly = directRequest{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1": 3, "b2": 1}, clients: 40}

// The share of a dsr farm that stays on the balancer passes the rules of other programs as any service does.
var findingDSRHereCases = []findingCase{
	{name: "input-of-dsr-here", farm: dsrHere, served: asksHere, kind: "drop",
		says: "drops the packets to a backend on this machine (farm web)",
		broken: steps{nftScript(`table inet filter2 { chain in {
			type filter hook input priority 0; policy drop; ct state established,related accept; udp dport 53 accept
			icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
		}; }`)}},
	{name: "prerouting-of-dsr-here", farm: dsrHere, served: asksHere, kind: "drop",
		says: "nft insert rule inet filter2 pre ip daddr 192.0.2.1 tcp dport 80 accept",
		broken: steps{nftScript(`table inet filter2 { chain pre {
			type filter hook prerouting priority mangle; ct state new ip daddr 192.0.2.0/24 drop
		}; }`)}},
	{name: "output-of-dsr-here", farm: dsrHere, served: asksHere, kind: "drop",
		says: "nft insert rule inet filter2 out ip saddr 192.0.2.1 tcp sport 80 accept",
		broken: steps{nftScript(`table inet filter2 { chain out {
			type filter hook output priority 0; policy drop; ct state new accept
		}; }`)}},
	{name: "nat-of-dsr-here", farm: dsrHere, served: asksHere, kind: "destination-nat",
		says: "sends the packets to a backend on this machine elsewhere",
		broken: steps{nftScript(`table ip nat2 { chain pre {
			type nat hook prerouting priority dstnat; fib daddr type local tcp dport 80 dnat to 10.2.0.13:8999
		}; }`)}},
	{name: "address-nowhere-and-dsr-here-is-down", farm: downHere("down"), served: asksDirectly, kind: "address",
		lab: dsrTopologies[1].lab, passes: true, says: "not an address of this machine: 192.0.2.1",
		broken: steps{runs("ip address del 192.0.2.1/32 dev lo")}},
	{name: "address-nowhere-and-dsr-here-drains", farm: downHere("drain"), served: asksDirectly, kind: "address",
		lab: dsrTopologies[1].lab, passes: true, says: "not an address of this machine: 192.0.2.1",
		broken: steps{runs("ip address del 192.0.2.1/32 dev lo")}},
}

// downHere is a dsr farm with two backends, of which the one on the balancer has another state than up.
func downHere(state string) string {
	return dsrTopologies[1].farm(`"192.0.2.1:80"`) + "[backends.here]\naddress = '10.2.0.1'\nstate = '" + state + "'\n"
}

// quietDSRHere are rules that let the share of the balancer pass.
var quietDSRHere = map[string]quietCase{
	"input-by-the-service": {"drop", dsrHere, steps{nftScript(`table inet filter2 { chain in {
		type filter hook input priority 0; policy drop; ct state invalid,untracked drop
		ip daddr 10.2.0.1 drop; ip daddr 192.0.2.1 tcp dport 80 accept; ct state established accept; }; }`)}, asksHere},
	"forward-drops": {"drop", dsrHere, steps{nftScript(`table inet filter2 {
		chain forward { type filter hook forward priority 0; policy drop; }
		chain out { type filter hook output priority 0; policy drop; ct state established,related accept; }
	}`)}, asksHere},
}

func TestNoFindingsOfDSRHere(t *testing.T) {
	t.Parallel()
	playQuiet(t, quietDSRHere)
}
