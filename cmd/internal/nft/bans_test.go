package nft

import (
	"errors"
	"net/netip"
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
	if _, err := nft.Ban(ctx, "banned-ip4", third, time.Minute); err == nil || err.Error() != "banned-ip4 is full" {
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
