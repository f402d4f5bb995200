package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// generation is the generation ID of the ruleset, which grows by one with each transaction.
func generation() (uint32, error) {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, 0)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: unix.NFPROTO_UNSPEC})
	answers, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil {
		return 0, err
	}
	for _, a := range answers {
		attrs, err := nl.ParseRouteAttr(a[nl.SizeofNfgenmsg:])
		if err != nil {
			return 0, err
		}
		for _, attr := range attrs {
			if attr.Attr.Type&nl.NLA_TYPE_MASK == unix.NFTA_GEN_ID && len(attr.Value) == 4 {
				return binary.BigEndian.Uint32(attr.Value), nil
			}
		}
	}
	return 0, errors.New("the kernel's answer holds no generation of the ruleset")
}

// timeToCommit calls do, and gives the time from its end to the next transaction of the ruleset.
func (b *bench) timeToCommit(do func() error) (took time.Duration, err error) {
	err = b.lab.Balancer.Do(func() error {
		before, err := generation()
		if err != nil {
			return err
		}
		if err := do(); err != nil {
			return err
		}
		began := time.Now()
		for now := before; now == before; {
			if took = time.Since(began); took > timeLimit {
				return fmt.Errorf("no transaction within %s", timeLimit)
			}
			time.Sleep(time.Millisecond) // notifications are not used, because each listener makes transactions slower
			if now, err = generation(); err != nil {
				return err
			}
		}
		took = time.Since(began)
		return nil
	})
	return took, err
}

// timeLimit bounds the time from a change to its transaction.
const timeLimit = 2 * time.Minute
