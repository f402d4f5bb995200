package nft

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

const held = `
table inet farmc {
	map services { type ipv4_addr . inet_service : verdict; elements = { 192.0.2.1 . 80 : goto one, 192.0.2.2 . 80 : goto one, 192.0.2.3 . 80 : goto one } }
	set clients { type ipv4_addr; flags dynamic,timeout; timeout 1m; }
	set office { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.168.0.0/16 } }
	map counted { typeof ip daddr : ip daddr; counter; elements = { 192.0.2.1 : 10.0.0.1 } }
	ct helper ftp { type "ftp" protocol tcp; }
	chain one { counter; }
	chain prerouting {
		type filter hook prerouting priority 0
		ip daddr { 192.0.2.1, 192.0.2.2 } accept
		ip daddr . tcp dport vmap @services
	}
}
table netdev farmc {
	chain ingress { type filter hook ingress devices = { "lo" } priority filter; }
}
table inet other { set s { type ipv4_addr; }; }
`

// What somebody does to the rules is told, part by part; what packets do, and what is others', is not.
func TestHolding(t *testing.T) {
	for _, c := range []struct {
		done string
		want []string
	}{
		{"list ruleset", nil},
		{"add element inet farmc clients { 198.51.100.1 }", nil},
		{"add element inet other s { 10.0.0.1 } ;; add table inet farmc2 ;; delete table inet other", nil},
		{"flush ruleset", []string{"table inet farmc is gone", "table netdev farmc is gone"}},
		{"delete table netdev farmc", []string{"table netdev farmc is gone"}},
		{"delete table inet farmc", []string{"table inet farmc is gone"}},
		{"delete element inet farmc services { 192.0.2.1 . 80 }", []string{"an element of map services is gone"}},
		{"flush map inet farmc services", []string{"3 elements of map services are gone"}},
		{"add element inet farmc services { 192.0.2.9 . 80 : drop }", []string{"an element of map services is not farmc's"}},
		{"delete element inet farmc services { 192.0.2.1 . 80 } ;; add element inet farmc services { 192.0.2.1 . 80 : drop }", []string{"an element of map services is another one"}},
		{"delete element inet farmc office { 10.0.0.0/8 }", []string{"2 elements of set office are gone"}}, // where it begins, and ends
		{"flush chain inet farmc prerouting", []string{"2 rules of chain prerouting are gone"}},
		{"insert rule inet farmc prerouting accept", []string{"a rule of chain prerouting is not farmc's"}},
		{"flush chain inet farmc one ;; add rule inet farmc one drop", []string{"a rule of chain one is another one"}},
		{"add chain inet farmc prerouting { policy drop; }", []string{"chain prerouting is another one"}},
		{"delete ct helper inet farmc ftp", []string{"object ftp is gone"}},
		{"add chain inet farmc mine", []string{"chain mine is not farmc's"}},
		{"delete chain netdev farmc ingress", []string{"chain ingress of table netdev farmc is gone"}},
		{"flush ruleset\n" + held, []string{"table inet farmc is another one", "table netdev farmc is another one"}},
	} {
		t.Run(c.done, func(t *testing.T) {
			nft, _ := genuine(t)
			load(t, nft, []byte(held))
			before, _, err := nft.Holding(t.Context(), true)
			if err != nil {
				t.Fatal(err)
			}
			load(t, nft, []byte(strings.ReplaceAll(c.done, " ;; ", "\n")+"\n"))
			now, _, err := nft.Holding(t.Context(), true)
			if got := before.Differs(now); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q; %v", got, c.want, err)
			}
		})
	}
}

// What is held is told as of one moment, while somebody loads and flushes.
func TestHoldingIsOfOneMoment(t *testing.T) {
	nft, _ := genuine(t)
	load(t, nft, []byte(held))
	whole, _, err := nft.Holding(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	asked, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for range 30 { // not all the time, but while somebody asks
			<-asked
			load(t, nft, []byte("flush ruleset\n"))
			load(t, nft, []byte(held))
		}
	}()
	seen := map[int]int{}
	for going := true; going; {
		select {
		case <-ended:
			going = false
		default:
		}
		select {
		case asked <- struct{}{}:
		default:
		}
		h, _, err := nft.Holding(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		if seen[len(h)]++; len(h) != 0 && len(h) != len(whole) {
			t.Errorf("%d of %d parts: %v", len(h), len(whole), slices.Sorted(maps.Keys(h)))
		}
	}
	if seen[0] == 0 || seen[len(whole)] == 0 {
		t.Errorf("nothing changed meanwhile: %v", seen)
	}
}

// Whoever listens hears of each transaction that touches farmc's tables, in one piece, and of no other.
func TestListen(t *testing.T) {
	nft, _ := genuine(t)
	load(t, nft, []byte(held))
	commits, err := nft.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var many strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&many, "add element inet other s { 10.1.%d.%d }\n", i/250, i%250)
	}
	for _, done := range []struct {
		script string
		heard  bool
		sets   []string
	}{
		{"add table inet farmc2", false, nil},
		{"add table ip farmc", false, nil},
		{many.String(), false, nil},
		{"add element inet farmc services { 192.0.2.9 . 80 : drop }", true, []string{"services"}},
		{many.String() + "add chain inet farmc one", true, nil}, // which is there already, but the kernel tells it
		{many.String() + "add rule inet farmc one drop\n" + strings.ReplaceAll(many.String(), "{ 10.1", "{ 10.2"), true, nil},
		{"delete table netdev farmc", true, nil},
		{"flush ruleset", true, nil},
	} {
		load(t, nft, []byte(done.script+"\n"))
		if !done.heard {
			continue
		}
		now, err := nft.Generation(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if c := <-commits; c.Lost || c.Program != "nft" || !strings.HasPrefix(c.By, "nft, process ") || c.Generation != now || !slices.Equal(c.Sets, done.sets) {
			t.Errorf("heard %+v of %.80s, and the generation is %d", c, done.script, now)
		}
	}
	load(t, nft, []byte("add table inet farmc\nadd table inet foreign\n"))
	<-commits
	select {
	case c := <-commits:
		t.Errorf("heard %+v, too", c)
	default:
	}
}
