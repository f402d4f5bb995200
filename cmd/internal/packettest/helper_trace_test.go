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

// A spy has the kernel tell which rules packets meet: those that come in, and also those that go out.
const (
	spy = foreign(`table inet spy {
		chain prerouting { type filter hook prerouting priority -400; meta nftrace set 1; }
	}`)
	spyOut = foreign(`table inet spy {
		chain output { type filter hook output priority -400; meta nftrace set 1; }
	}`)
)

var baseChain = regexp.MustCompile(`type (\w+) hook (\w+)`)

// onlyNewMeetRules: packets of open connections meet no rule of ours, and there are only chains that see the first
// packet of a connection.
func onlyNewMeetRules(s *stage) error {
	script, _ := s.engine.Compile()
	for _, m := range baseChain.FindAllSubmatch(script.Text, -1) {
		if string(m[1]) != "nat" && string(m[2]) != "input" { // which the farms' packets pass by
			return fmt.Errorf("there is a base chain of type %s at %s", m[1], m[2])
		}
	}
	if err := spy.do(s); err != nil {
		return err
	}
	trace, err := s.trace()
	if err != nil {
		return err
	}
	defer trace.Close()
	if err := meets(trace, s, echo{}, "spy prerouting"); err != nil {
		return err
	}
	return meets(trace, s, ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 3, "b2:8082": 1}, times: 40, sees: "balancer"},
		"farmc dnat-random-4-ip4", "farmc dnat-random-4-ip6", "farmc masquerade-all", "farmc postrouting", "farmc prerouting", "spy prerouting")
}

// establishedMeetOneChain: it looks for segments that fit no connection.
func establishedMeetOneChain(s *stage) error {
	if err := spy.do(s); err != nil {
		return err
	}
	trace, err := s.trace()
	if err != nil {
		return err
	}
	defer trace.Close()
	return meets(trace, s, echo{}, "farmc invalid-forward", "spy prerouting")
}

// localsMeet: what the balancer opens itself meets these chains and no others on its way out and, by loopback, in.
type localsMeet []string

func (l localsMeet) do(s *stage) error {
	trace, err := s.trace()
	if err != nil {
		return err
	}
	defer trace.Close()
	return meets(trace, s, ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"balancer:80": 1}, sees: "192.0.2.1 2001:db8::1"}, l...)
}

// meets compares the tables and chains that the packets of a step meet.
func meets(trace *nl.NetlinkSocket, s *stage, step step, want ...string) error {
	if err := step.do(s); err != nil {
		return err
	}
	met, err := told(trace)
	if err == nil && !slices.Equal(met, want) {
		err = fmt.Errorf("packets met %v, want %v", met, want)
	}
	return err
}

// trace hears of each rule that a packet meets on the balancer, before the packet goes on.
func (s *stage) trace() (trace *nl.NetlinkSocket, err error) {
	err = s.Balancer.Do(func() error {
		if trace, err = nl.Subscribe(unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTRACE); err != nil {
			return err
		}
		return trace.SetReceiveBufferSize(16<<20, true)
	})
	return trace, err
}

// told gives all tables and chains since the last call, each once, in the order of names.
func told(trace *nl.NetlinkSocket) (met []string, err error) {
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
			met = append(met, unix.ByteSliceToString(attributes[table].Value)+" "+unix.ByteSliceToString(attributes[chain].Value))
		}
	}
}
