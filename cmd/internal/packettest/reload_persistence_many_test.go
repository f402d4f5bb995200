package packettest

import (
	"fmt"
	"strings"
	"testing"
)

// TestManyReloadsKeepPersistence: a thousand clients keep their backends over any number of loads, while these are up
// or drained. Clients of a backend that goes down move, and stay with the new backend when the old one is up again.
func TestManyReloadsKeepPersistence(t *testing.T) {
	t.Parallel()
	runCases(t, []testCase{
		{name: "snat", steps: manyReloads("snat")},
		{name: "dnat", steps: manyReloads("dnat")},
	})
}

func manyReloads(mode string) steps {
	load := func(b1, b2, b3, more string, others int) farms {
		all := farms{"web": fmt.Sprintf(`
			mode   = %q
			listen = ["192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:8000-8100/tcp,udp"]
			[persistence]
			on      = ["source-address", "source-port"]
			timeout = "1h"
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			%s
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
			%s
			[backends.b3]
			address = ["10.2.0.13", "fd00:2::13"]
			%s
			%s
		`, mode, b1, b2, b3, more)}
		for i := range others {
			all[fmt.Sprint("other-", i)] = oneBackend("snat", fmt.Sprintf(`"192.0.2.2:%d"`, 1000+i), "b1", 8081,
				`[persistence]`)
		}
		return all
	}
	all := steps{
		load("", "", "", "", 0),
		nftScript("add element inet farmc farm/web/clients-ip4 { 10.99.99.99 . 1 timeout 1h expires 30m : " +
			"10.2.0.12 }\n"),
		manyClients{port: 8000},
	}
	// unrelated changes and related ones
	const b4 = "[backends.b4]\naddress = ['10.2.0.14', 'fd00:2::14']\nweight = 1\nstate = 'drain'\n"
	for i := range 40 {
		all = append(all, load(fmt.Sprint("weight = ", 1+i%3), "", "", map[bool]string{true: b4}[i%4 == 0], i%5))
	}
	return append(all,
		manyClients{port: 8050},
		stepFunc(func(s *testbed) error {
			text, err := s.listClients("inet", "ip4")
			if err == nil && !unchangedExpiry.MatchString(text) {
				err = fmt.Errorf("a load has changed the entry or its expiry: %.300s",
					text[strings.Index(text, "10.99.99.99"):])
			}
			return err
		}),
		load("state = 'drain'", "", "", "", 1), manyClients{port: 8081},
		load("", "state = 'down'", "", "", 2), manyClients{port: 8082, without: "b2"},
		load("", "", "", "", 0), load("weight = 7", "", "", "", 0), manyClients{port: 8083, without: "b2"},
		load("", "", "state = 'drain'", "", 0), manyClients{port: 8100, without: "b2"},
	)
}
