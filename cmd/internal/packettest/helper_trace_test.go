package packettest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// nft traces of the rules that packets meet: packets that come in, and packets that go out.
const (
	traceInput = nftScript(`table inet spy {
		chain prerouting { type filter hook prerouting priority -400; meta nftrace set 1; }
	}`)
	traceOutput = nftScript(`table inet spy {
		chain output { type filter hook output priority -400; meta nftrace set 1; }
	}`)
)

var baseChain = regexp.MustCompile(`type (\w+) hook (\w+)`)

// establishedMeetNoRule: packets of open connections meet no rule of farmc, and all base chains on their way see only
// the first packet of a connection.
func establishedMeetNoRule(s *testbed) error {
	script, _ := s.engine.Compile()
	for _, m := range baseChain.FindAllSubmatch(script.Text, -1) {
		if string(m[1]) != "nat" && string(m[2]) != "input" { // packets of farms do not reach input
			return fmt.Errorf("there is a base chain of type %s at %s", m[1], m[2])
		}
	}
	if err := traceInput.do(s); err != nil {
		return err
	}
	trace, err := s.trace()
	if err != nil {
		return err
	}
	defer trace.Close()
	if err := checkChains(trace, s, echo{}, "spy prerouting"); err != nil {
		return err
	}
	return checkChains(trace, s,
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 3, "b2:8082": 1}, times: 40, sees: "balancer"},
		"farmc dnat-random-4-ip4", "farmc dnat-random-4-ip6", "farmc forged-first/dnat-random-4-ip4",
		"farmc forged-first/dnat-random-4-ip6", "farmc forged-ip4", "farmc forged-ip6", "farmc masquerade-all",
		"farmc masquerade-all/any-port", "farmc postrouting", "farmc prerouting", "spy prerouting")
}

// establishedMeetOneChain: packets of open connections meet the chain that drops invalid segments, and no other.
func establishedMeetOneChain(s *testbed) error {
	if err := traceInput.do(s); err != nil {
		return err
	}
	trace, err := s.trace()
	if err != nil {
		return err
	}
	defer trace.Close()
	return checkChains(trace, s, echo{}, "farmc invalid-forward", "spy prerouting")
}

// localRequestsMeet: packets of the balancer's own requests meet exactly these chains on the way out and, over
// loopback, in.
type localRequestsMeet []string

func (l localRequestsMeet) do(s *testbed) error {
	trace, err := s.trace()
	if err != nil {
		return err
	}
	defer trace.Close()
	return checkChains(trace, s,
		request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"balancer:80": 1},
			sees: "192.0.2.1 2001:db8::1"}, l...)
}

// checkChains compares the tables and chains that the packets of a step meet.
func checkChains(trace *nl.NetlinkSocket, s *testbed, step step, want ...string) error {
	if err := step.do(s); err != nil {
		return err
	}
	met, err := chainsMet(trace)
	if err == nil && !slices.Equal(met, want) {
		err = fmt.Errorf("packets met %v, want %v", met, want)
	}
	return err
}

// trace reads a message for each rule that a packet meets on the balancer, before the packet goes on.
func (s *testbed) trace() (trace *nl.NetlinkSocket, err error) {
	err = s.Balancer.Do(func() error {
		if trace, err = nl.Subscribe(unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTRACE); err != nil {
			return err
		}
		return trace.SetReceiveBufferSize(16<<20, true)
	})
	return trace, err
}

// chainsMet are all tables and chains since the last call, without duplicates, in the order of names.
func chainsMet(trace *nl.NetlinkSocket) (met []string, err error) {
	buffer := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(trace.GetFd(), buffer, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			slices.Sort(met)
			return slices.Compact(met), nil
		}
		if err != nil {
			return nil, err
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:n])
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			attributes, err := nl.ParseRouteAttrAsMap(m.Data[nl.SizeofNfgenmsg:])
			if err != nil {
				return nil, err
			}
			const table, chain = 1, 2 // NFTA_TRACE_TABLE, NFTA_TRACE_CHAIN of linux/netfilter/nf_tables.h
			met = append(met,
				unix.ByteSliceToString(attributes[table].Value)+" "+unix.ByteSliceToString(attributes[chain].Value))
		}
	}
}
