package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

const bansTable = `
table inet farmc {
	counter farm/web/banned { packets 7 bytes 420 }
	counter farm/web/new { }
	limit farm/web/log { rate 1/second }
	set banned-ip4 { type ipv4_addr; size 2; flags dynamic,timeout; elements = { 198.51.100.1 timeout 1h } }
	set banned-ip6 { type ipv6_addr; flags dynamic,timeout; }
}
`

func TestBans(t *testing.T) {
	nft, _ := realNft(t)
	ctx := t.Context()
	first, second, third := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2"),
		netip.MustParseAddr("198.51.100.3")
	if _, err := nft.Ban(ctx, "banned-ip4", first, time.Hour); !errors.Is(err, ErrNoSet) {
		t.Errorf("without a table: %v", err)
	}
	load(t, nft, []byte(bansTable))
	if _, err := nft.Ban(ctx, "banned", first, time.Hour); !errors.Is(err, ErrNoSet) {
		t.Errorf("without a set: %v", err)
	}

	if before, err := nft.Ban(ctx, "banned-ip4", second, time.Minute); err != nil || before != 0 {
		t.Errorf("an address that is not banned: %v, %v", before, err)
	}
	before, err := nft.Ban(ctx, "banned-ip4", first, 2*time.Minute)
	if err != nil || before <= 50*time.Minute || before > time.Hour {
		t.Errorf("an address that is banned: %v, %v", before, err)
	}
	if _, err := nft.Ban(ctx, "banned-ip4", third, time.Minute); err == nil ||
		err.Error() != "banned-ip4 is full of bans by hand" {
		t.Errorf("a full set: %v", err)
	}
	bans, err := nft.Bans(ctx, "banned-ip4")
	left := map[netip.Addr]time.Duration{}
	for _, b := range bans {
		left[b.Address] = b.Left.Round(time.Minute)
	}
	if err != nil || len(bans) != 2 || left[first] != 2*time.Minute || left[second] != time.Minute {
		t.Errorf("banned are %v, %v", bans, err)
	}

	if was, err := nft.Unban(ctx, "banned-ip4", first); err != nil || !was {
		t.Errorf("unban: %v, %v", was, err)
	}
	if was, err := nft.Unban(ctx, "banned-ip4", first); err != nil || was {
		t.Errorf("unban an address that is not banned: %v, %v", was, err)
	}
	six := netip.MustParseAddr("2001:db8:c:1::")
	if _, err := nft.Ban(ctx, "banned-ip6", six, 20*time.Millisecond); err != nil {
		t.Error(err)
	}
	if bans, err := nft.Bans(ctx, "banned-ip6"); err != nil || len(bans) > 0 && bans[0].Address != six {
		t.Errorf("banned are %v, %v", bans, err)
	}
	for end := time.Now().Add(time.Minute); ; {
		if bans, err := nft.Bans(ctx, "banned-ip6"); err == nil && len(bans) == 0 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("still banned: %v, %v", bans, err)
		}
	}
}

func TestNamedCounters(t *testing.T) {
	nft, _ := realNft(t)
	if counts, err := nft.NamedCounters(t.Context()); err != nil || len(counts) != 0 {
		t.Errorf("without a table: %v, %v", counts, err)
	}
	load(t, nft, []byte(bansTable))
	counts, err := nft.NamedCounters(t.Context())
	if err != nil || len(counts) != 2 || counts["farm/web/banned"] != (Counter{7, 420}) ||
		counts["farm/web/new"] != (Counter{}) {
		t.Errorf("got %v, %v", counts, err)
	}
}

const fullTable = `
table inet farmc {
	set banned-ip4 { type ipv4_addr; size 4; flags dynamic,timeout; elements = {
		198.51.100.1 timeout 1h, 198.51.100.2 timeout 30m, 198.51.100.3 timeout 2h, 198.51.100.4 timeout 3h } }
}
`

// TestBanInFullSet: a ban by hand takes the place of a packet's ban, the one that ends first, and never of another ban
// by hand, which can end earlier.
func TestBanInFullSet(t *testing.T) {
	nft, _ := realNft(t)
	ctx := t.Context()
	load(t, nft, []byte(fullTable))
	for n, want := range []string{"1 3 4 11", "3 4 11 12", "4 11 12 13", "11 12 13 14"} {
		address := netip.AddrFrom4([4]byte{198, 51, 100, byte(11 + n)})
		if _, err := nft.Ban(ctx, "banned-ip4", address, time.Minute); err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		bans, err := nft.Bans(ctx, "banned-ip4")
		if got := lastBytes(bans); err != nil || got != want {
			t.Errorf("%s: banned are %s, want %s (%v)", address, got, want, err)
		}
	}
	if _, err := nft.Ban(ctx, "banned-ip4", netip.MustParseAddr("198.51.100.99"), time.Minute); err == nil {
		t.Error("a ban by hand replaced another one")
	}
}

func lastBytes(bans []Ban) string {
	slices.SortFunc(bans, func(a, b Ban) int { return a.Address.Compare(b.Address) })
	var out []string
	for _, b := range bans {
		out = append(out, fmt.Sprint(b.Address.As4()[3]))
	}
	return strings.Join(out, " ")
}
