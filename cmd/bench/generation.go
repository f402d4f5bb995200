package main

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// generation is the number of the ruleset: it grows with each transaction that is committed.
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
	return 0, errors.New("the kernel tells no generation of its ruleset")
}

// untilCommitted does something and gives the time from its end to the next commit.
func (b *bench) untilCommitted(do func() error) (took time.Duration, err error) {
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
			if took = time.Since(began); took > patience {
				return errors.New("nothing was committed")
			}
			time.Sleep(time.Millisecond) // what is waited for can't be listened to: each listener makes commits slower
			if now, err = generation(); err != nil {
				return err
			}
		}
		took = time.Since(began)
		return nil
	})
	return took, err
}

// patience is how long a change may take.
const patience = 2 * time.Minute
