package nft

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"farmc/cmd/internal/nfnetlink"

	"golang.org/x/sys/unix"
)

const farmcRules = `
table inet farmc {
	map services {
		type ipv4_addr . inet_service : verdict
		elements = { 192.0.2.1 . 80 : goto one, 192.0.2.2 . 80 : goto one, 192.0.2.3 . 80 : goto one }
	}
	set clients { type ipv4_addr; flags dynamic,timeout; timeout 1m; }
	set office { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.168.0.0/16 } }
	set plain { type ipv4_addr; elements = { 192.0.2.8, 192.0.2.9 }; }
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

// Diff describes changes of farmc's tables part by part. It leaves out changes by packets, and other tables.
func TestSnapshotDiff(t *testing.T) {
	if testing.Short() {
		t.Skip("loads for seconds")
	}
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
		{"add element inet farmc services { 192.0.2.9 . 80 : drop }", []string{"an element of map services was added"}},
		{"delete element inet farmc services { 192.0.2.1 . 80 } ;; " +
			"add element inet farmc services { 192.0.2.1 . 80 : drop }",
			[]string{"an element of map services was changed"}},
		{"delete element inet farmc office { 10.0.0.0/8 }", []string{"2 elements of set office are gone"}},
		// begin and end of the interval
		{"flush set inet farmc plain", []string{"2 elements of set plain are gone"}},
		{"flush chain inet farmc prerouting", []string{"2 rules of chain prerouting are gone"}},
		{"insert rule inet farmc prerouting accept", []string{"a rule of chain prerouting was added"}},
		{"flush chain inet farmc one ;; add rule inet farmc one drop", []string{"a rule of chain one was changed"}},
		{"add chain inet farmc prerouting { policy drop; }", []string{"chain prerouting was changed"}},
		{"delete ct helper inet farmc ftp", []string{"object ftp is gone"}},
		{"add chain inet farmc mine", []string{"chain mine was added"}},
		{"delete chain netdev farmc ingress", []string{"chain ingress of table netdev farmc is gone"}},
		{"flush ruleset\n" + farmcRules, []string{"table inet farmc was changed", "table netdev farmc was changed"}},
	} {
		t.Run(c.done, func(t *testing.T) {
			nft, _ := realNft(t)
			load(t, nft, []byte(farmcRules))
			before, _, err := nft.Snapshot(t.Context(), true)
			if err != nil {
				t.Fatal(err)
			}
			load(t, nft, []byte(strings.ReplaceAll(c.done, " ;; ", "\n")+"\n"))
			now, _, err := nft.Snapshot(t.Context(), true)
			if got := before.Diff(now); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q; %v", got, c.want, err)
			}
		})
	}
}

// A snapshot is of one generation, while another goroutine loads and flushes.
func TestSnapshotIsOfOneGeneration(t *testing.T) {
	if testing.Short() {
		t.Skip("loads and flushes for seconds")
	}
	nft, _ := realNft(t)
	load(t, nft, []byte(farmcRules))
	whole, _, err := nft.Snapshot(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	asked, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for range 30 { // while Snapshot runs, and not all the time
			<-asked
			load(t, nft, []byte("flush ruleset\n"))
			load(t, nft, []byte(farmcRules))
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
		h, _, err := nft.Snapshot(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		if seen[len(h)]++; len(h) != 0 && len(h) != len(whole) {
			t.Errorf("%d of %d parts: %v", len(h), len(whole), slices.SortedFunc(maps.Keys(h), compareParts))
		}
	}
	if seen[0] == 0 || seen[len(whole)] == 0 {
		t.Errorf("no change during the snapshots: %v", seen)
	}
}

// Monitor sends one Transaction for each change of farmc's tables, and none for other tables.
func TestMonitor(t *testing.T) {
	nft, _ := realNft(t)
	load(t, nft, []byte(farmcRules))
	transactions, err := nft.Monitor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var many strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&many, "add element inet other s { 10.1.%d.%d }\n", i/250, i%250)
	}
	for _, c := range []struct {
		script string
		sent   bool
		sets   []string
		gone   bool
	}{
		{"add table inet farmc2", false, nil, false},
		{"add table ip farmc", false, nil, false},
		{many.String(), false, nil, false},
		{"add element inet farmc services { 192.0.2.9 . 80 : drop }", true, []string{"services"}, false},
		{many.String() + "add chain inet farmc one", true, nil, false},
		// a chain that exists: the kernel notifies all the same
		{many.String() + "add rule inet farmc one drop\n" + strings.ReplaceAll(many.String(), "{ 10.1", "{ 10.2"), true,
			nil, false},
		{"delete table netdev farmc", true, nil, false},
		{"delete table inet farmc\nadd table inet farmc", true, nil, false},
		{"flush ruleset", true, nil, true},
	} {
		load(t, nft, []byte(c.script+"\n"))
		if !c.sent {
			continue
		}
		now, err := nft.Generation(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := <-transactions; got.Lost || got.Program != "nft" ||
			!strings.HasPrefix(got.Process, "nft, process ") || got.Generation != now ||
			!slices.Equal(got.Sets, c.sets) || got.Gone != c.gone {
			t.Errorf("got %+v of %.80s, and the generation is %d", got, c.script, now)
		}
	}
	load(t, nft, []byte("add table inet farmc\nadd table inet foreign\n"))
	<-transactions
	select {
	case got := <-transactions:
		t.Errorf("got %+v, too", got)
	default:
	}
}

// The name of a process or of an object may hold characters that a terminal would obey.
func TestNamesArePrintable(t *testing.T) {
	var r reader
	got := r.end(nfnetlink.Attributes{
		unix.NFTA_GEN_PROC_NAME: []byte("a\x1b[2J\n\xff\x00"),
		unix.NFTA_GEN_PROC_PID:  {0, 0, 1, 0},
	})
	if want := "a�[2J��, process 256"; got.Process != want {
		t.Errorf("process %q, want %q", got.Process, want)
	}
	p := part{unix.NFPROTO_NETDEV, "rule", "chain \x1b"}
	if want := "rule of chain � of table netdev farmc"; p.String() != want {
		t.Errorf("part %q, want %q", p, want)
	}
}
