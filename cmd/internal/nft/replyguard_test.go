package nft

import (
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// sameGuard is the guard of the sources in TestGuardReplies, as nft loads it.
const sameGuard = `
	table inet farmc {
		set backend-services-ip4 {
			type inet_proto . ipv4_addr . inet_service
			size 2
			timeout 2m
			elements = { tcp . 10.2.0.11 . 8080, udp . 10.2.0.11 . 53 }
		}
		set backend-services-ip6 {
			type inet_proto . ipv6_addr . inet_service
			size 1
			timeout 2m
			elements = { sctp . fd00:2::11 . 8080 }
		}
		set backend-ranges-ip4 {
			type inet_proto . ipv4_addr . inet_service
			size 1
			flags interval
			timeout 2m
			elements = { tcp . 10.2.0.12 . 4000-4999 }
		}
		set backend-ranges-ip6 {
			type inet_proto . ipv6_addr . inet_service
			size 1
			flags interval
			timeout 2m
			elements = { tcp . fd00:2::12 . 4000-4999 }
		}
		set backend-protocols-ip4 {
			type inet_proto . ipv4_addr
			size 1
			timeout 2m
			elements = { esp . 10.2.0.13 }
		}
		set backend-protocols-ip6 {
			type inet_proto . ipv6_addr
			size 1
			timeout 2m
			elements = { gre . fd00:2::13 }
		}
		set backend-addresses-ip4 {
			type ipv4_addr
			size 1
			timeout 2m
			elements = { 10.2.0.14 }
		}
		set backend-addresses-ip6 {
			type ipv6_addr
			size 1
			timeout 2m
			elements = { fd00:2::14 }
		}
		chain stateless-unrewritten {
			type filter hook forward priority filter
			meta nfproto ipv4 meta l4proto . ip saddr . th sport @backend-services-ip4 drop
			meta nfproto ipv6 meta l4proto . ip6 saddr . th sport @backend-services-ip6 drop
			meta nfproto ipv4 meta l4proto . ip saddr . th sport @backend-ranges-ip4 drop
			meta nfproto ipv6 meta l4proto . ip6 saddr . th sport @backend-ranges-ip6 drop
			meta nfproto ipv4 meta l4proto . ip saddr @backend-protocols-ip4 drop
			meta nfproto ipv6 meta l4proto . ip6 saddr @backend-protocols-ip6 drop
			meta nfproto ipv4 ip saddr @backend-addresses-ip4 drop
			meta nfproto ipv6 ip6 saddr @backend-addresses-ip6 drop
		}
	}
`

// TestGuardReplies: nft lists a guard like the same rules that it has loaded itself.
func TestGuardReplies(t *testing.T) {
	nft, _ := realNft(t)
	load(t, nft, []byte(sameGuard))
	want := listed(t)
	load(t, nft, []byte("flush ruleset\n"))
	ports := func(first, last uint16) farm.Ports { return farm.Ports{First: first, Last: last} }
	a, all := netip.MustParseAddr, ports(0, 65535)
	guard(t, nft, []ruleset.ReplySource{
		{Protocol: 0, Address: a("10.2.0.14"), Ports: all}, {Protocol: 0, Address: a("fd00:2::14"), Ports: all},
		{Protocol: 6, Address: a("10.2.0.11"), Ports: ports(8080, 8080)},
		{Protocol: 6, Address: a("10.2.0.12"), Ports: ports(4000, 4999)},
		{Protocol: 6, Address: a("fd00:2::12"), Ports: ports(4000, 4999)},
		{Protocol: 17, Address: a("10.2.0.11"), Ports: ports(53, 53)},
		{Protocol: 47, Address: a("fd00:2::13"), Ports: all}, {Protocol: 50, Address: a("10.2.0.13"), Ports: all},
		{Protocol: 132, Address: a("fd00:2::11"), Ports: ports(8080, 8080)},
	})
	if got := listed(t); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestGuardOfManyReplies: a guard of 10,000 sources is loaded by one transaction, and not over other rules.
func TestGuardOfManyReplies(t *testing.T) {
	nft, _ := realNft(t)
	var sources []ruleset.ReplySource
	for i := range 10_000 {
		address := netip.MustParseAddr(fmt.Sprintf("fd00:2::%x", i+1))
		sources = append(sources, ruleset.ReplySource{Protocol: 6, Address: address,
			Ports: farm.Ports{First: 80, Last: 80}})
	}
	began := time.Now()
	guard(t, nft, sources)
	t.Logf("%d sources: %s", len(sources), time.Since(began))
	if loaded, err := nft.GuardReplies(t.Context(), sources[:1]); loaded || err != nil {
		t.Errorf("a second guard is loaded beside the first: %v, %v", loaded, err)
	}
	if got := strings.Count(listed(t), " . 80"); got != len(sources) {
		t.Errorf("%d of %d sources are there", got, len(sources))
	}
}

func guard(t *testing.T, nft Nft, sources []ruleset.ReplySource) {
	t.Helper()
	if loaded, err := nft.GuardReplies(t.Context(), sources); !loaded || err != nil {
		t.Fatalf("loaded %v, %v", loaded, err)
	}
}

var expiry = regexp.MustCompile(` expires \w+`)

// listed is the ruleset as nft lists it, with elements of sets in the order that nft has.
func listed(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return expiry.ReplaceAllString(string(out), "")
}
