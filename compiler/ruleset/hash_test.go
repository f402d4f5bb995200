package ruleset

import (
	"strings"
	"testing"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

func TestHashInput(t *testing.T) {
	for _, test := range []struct {
		rule     string
		on       string
		ip4, ip6 string
	}{
		{"address", "source-address", "ip saddr", "ip6 saddr"},
		{"address-and-port", "source-address source-port", "ip saddr . th sport", "ip6 saddr . th sport"},
		{"both-ports", "source-port destination-port", "th sport . th dport", "th sport . th dport"},
		{"both-macs", "source-mac destination-mac", "ether saddr . ether daddr", "ether saddr . ether daddr"},
		{"just-fits", "source-address destination-address source-mac destination-mac",
			"ip saddr . ip daddr . ether saddr . ether daddr", "ip6 saddr . ip6 daddr . ether saddr . ether daddr"},
		{"macs-side-by-side", "source-address destination-address source-port source-mac destination-mac",
			"ip saddr . ip daddr . th sport . ether saddr . ether daddr",
			"ip6 saddr . ip6 daddr . th sport . @ll,0,96"},
		{"everything", "source-address destination-address source-port destination-port source-mac destination-mac",
			"ip saddr . ip daddr . th sport . th dport . ether saddr . ether daddr",
			"ip6 saddr . ip6 daddr . @th,0,32 . @ll,0,96"},
		{"ports-just-fit", "source-address destination-address source-port destination-port source-mac",
			"ip saddr . ip daddr . th sport . th dport . ether saddr",
			"ip6 saddr . ip6 daddr . th sport . th dport . ether saddr"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			var on []farm.HashKey
			for _, key := range strings.Fields(test.on) {
				on = append(on, farm.HashKey(key))
			}
			for family, want := range map[addr.Family]string{addr.IP4: test.ip4, addr.IP6: test.ip6} {
				if got := strings.Join(hashInput(on, family), " . "); got != want {
					t.Errorf("%s: got %s, want %s", family, got, want)
				}
			}
		})
	}
}

// TestHashInputOfAll: of every combination each field is there, once, and all fit into a rule.
func TestHashInputOfAll(t *testing.T) {
	registers := map[string]int{
		"ip saddr": 1, "ip daddr": 1, "ip6 saddr": 4, "ip6 daddr": 4, "th sport": 1, "th dport": 1,
		"ether saddr": 2, "ether daddr": 2, "@th,0,32": 1, "@ll,0,96": 3,
	}
	holds := map[string][]farm.HashKey{
		"saddr":    {farm.SourceAddress},
		"daddr":    {farm.DestinationAddress},
		"sport":    {farm.SourcePort},
		"dport":    {farm.DestinationPort},
		"@th,0,32": {farm.SourcePort, farm.DestinationPort},
		"@ll,0,96": {farm.SourceMAC, farm.DestinationMAC},
	}
	for set := 1; set < 1<<len(farm.HashKeys); set++ {
		var on []farm.HashKey
		for i, key := range farm.HashKeys {
			if set>>i&1 == 1 {
				on = append(on, key)
			}
		}
		for _, family := range addr.Families {
			sum, seen := 0, map[farm.HashKey]int{}
			for _, field := range hashInput(on, family) {
				n, known := registers[field]
				if !known {
					t.Errorf("%v: %q is no field", on, field)
				}
				sum += n
				keys := holds[field]
				switch field {
				case "ether saddr":
					keys = []farm.HashKey{farm.SourceMAC}
				case "ether daddr":
					keys = []farm.HashKey{farm.DestinationMAC}
				}
				if keys == nil {
					keys = holds[field[strings.LastIndex(field, " ")+1:]]
				}
				for _, key := range keys {
					seen[key]++
				}
			}
			for _, key := range on {
				if seen[key] != 1 {
					t.Errorf("%v: %s is hashed %d times in %s", on, key, seen[key], family)
				}
			}
			if len(seen) != len(on) || sum > widestHash {
				t.Errorf("%v: %d fields in %d registers in %s", on, len(seen), sum, family)
			}
		}
	}
}
