package nft

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestObjects(t *testing.T) {
	nft, _ := realNft(t)
	if got, err := nft.Objects(t.Context()); len(got) != 0 || err != nil {
		t.Errorf("without tables: %v, %v", got, err)
	}
	load(t, nft, []byte(`
table inet farmc {
	map lasting {
		type ipv4_addr . inet_service : ipv6_addr
		size 10
		flags dynamic,timeout
		timeout 1m
	}
	set plain { type ipv4_addr; flags interval; }
	set own { type inet_service; }
	map verdicts { typeof meta l4proto . numgen random mod 2 : verdict; }
	ct helper farm/ftp {
		type "ftp" protocol tcp
	}
	chain prerouting {
		type nat hook prerouting priority dstnat
		tcp dport { 80, 443 } accept
	}
	chain other { }
}
table netdev farmc {
	chain ingress { type filter hook ingress devices = { "lo" } priority 0; }
}
table inet foreign {
	chain other { }
	set plain { type ipv4_addr; }
}
`))
	got, err := nft.Objects(t.Context())
	want := []Object{
		{Family: "inet", Kind: "chain", Name: "prerouting", Hooked: true},
		{Family: "inet", Kind: "chain", Name: "other"},
		{Family: "inet", Kind: "map", Name: "lasting",
			Flags: unix.NFT_SET_MAP | unix.NFT_SET_TIMEOUT | unix.NFT_SET_EVAL, Keys: 7<<6 | 13, Values: 8, Size: 10},
		{Family: "inet", Kind: "set", Name: "plain", Flags: unix.NFT_SET_INTERVAL, Keys: 7},
		{Family: "inet", Kind: "set", Name: "own", Keys: 13},
		{Family: "inet", Kind: "map", Name: "verdicts", Flags: unix.NFT_SET_MAP, Keys: 12<<6 | 4, Values: VerdictType},
		{Family: "inet", Kind: "ct helper", Name: "farm/ftp"},
		{Family: "netdev", Kind: "chain", Name: "ingress", Hooked: true},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got\n%+v, %v, want\n%+v", got, err, want)
	}
}

func TestCounters(t *testing.T) {
	nft, _ := realNft(t)
	load(t, nft, []byte(`
table inet farmc {
	map slots {
		typeof meta l4proto . ip daddr . th dport . numgen random mod 2 : ip daddr
		counter
		elements = {
			tcp . 192.0.2.1 . 80 . 0 counter packets 5 bytes 700 : 10.0.0.1,
			tcp . 192.0.2.1 . 80 . 1 : 10.0.0.2
		}
	}
	map plain {
		typeof numgen random mod 2 : ip daddr
		elements = { 1 : 10.0.0.1 }
	}
}
`))
	slot := func(n byte) []byte {
		return []byte{6, 0, 0, 0, 192, 0, 2, 1, 0, 80, 0, 0, n, 0, 0,
			0}
	} // of a little endian machine
	got, err := nft.Counters(t.Context(), []Element{{"inet", "slots", slot(0)}, {"inet", "slots", slot(1)},
		{"inet", "slots", slot(2)}, {"inet", "plain", []byte{1, 0, 0, 0}}, {"inet", "absent", slot(0)}})
	want := []Counter{{5, 700}, {}, {}, {}, {}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	var many []Element // so many that several sockets read them
	for range 3 * minPart {
		many = append(many, Element{"inet", "slots", slot(1)}, Element{"inet", "plain", []byte{1, 0, 0, 0}},
			Element{"inet", "slots", slot(0)})
	}
	if got, err = nft.Counters(t.Context(), many); err != nil {
		t.Fatal(err)
	}
	for i, c := range got {
		if want := []Counter{{}, {}, {5, 700}}[i%3]; c != want {
			t.Fatalf("element %d of many: got %v, want %v", i, c, want)
		}
	}
}
