package announce

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// Routing rules drop replies of backends between the end of farmc's nft rules and their guard: the nft that removed the
// rules holds up all other nft transactions for 7 to 130 ms when it closes its socket. Routing rules do not wait for
// it. They have no timeout, as the guard has.

// MaxDropRules is the number of routing rules that drop replies: 256 are made in 4 ms. For each packet that the machine
// routes the kernel compares them one by one.
const MaxDropRules = 256

// dropPriority is the preference of these rules: before the rule for the table.
const dropPriority = rulePriority - 1

// DropReplies makes routing rules that drop forwarded packets of the sources. The packets of later fragments have no
// ports, and pass.
func DropReplies(sources []ruleset.ReplySource) error {
	kernel, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("drop replies by routing rules: %w", err)
	}
	defer kernel.Close()
	for _, source := range sources {
		err := kernel.RuleAdd(dropRule(source))
		if err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.EAFNOSUPPORT) {
			return fmt.Errorf("drop replies from %s by a routing rule: %w", source.Address, err)
		}
	}
	return nil
}

// PassReplies removes the rules of DropReplies, also ones that a killed process left.
func PassReplies() error {
	kernel, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("remove routing rules: %w", err)
	}
	defer kernel.Close()
	var failed []error
	for _, family := range families {
		rules, err := kernel.RuleListFiltered(family, &netlink.Rule{Priority: dropPriority}, netlink.RT_FILTER_PRIORITY)
		if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
			failed = append(failed, fmt.Errorf("list routing rules: %w", err))
		}
		for _, r := range rules {
			if r.Protocol != uint8(protocol) {
				continue
			}
			if err := kernel.RuleDel(&r); err != nil && !errors.Is(err, unix.ENOENT) {
				failed = append(failed, fmt.Errorf("remove a routing rule with preference %d: %w", dropPriority, err))
			}
		}
	}
	return errors.Join(failed...)
}

// dropRule drops packets of a source that are not for this machine: addresses of its own have a rule before.
func dropRule(s ruleset.ReplySource) *netlink.Rule {
	r := netlink.NewRule()
	r.Priority, r.Protocol, r.Type = dropPriority, uint8(protocol), unix.RTN_BLACKHOLE
	bits := s.Address.BitLen()
	r.Src = &net.IPNet{IP: s.Address.AsSlice(), Mask: net.CIDRMask(bits, bits)}
	r.IPProto = int(s.Protocol)
	if farm.ProtocolOf(r.IPProto).HasPorts() {
		r.Sport = netlink.NewRulePortRange(s.Ports.First, s.Ports.Last)
	}
	return r
}
