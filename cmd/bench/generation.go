package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"farmc/cmd/internal/nfnetlink"

	"golang.org/x/sys/unix"
)

// generation is the generation ID of the ruleset, which grows by one with each transaction.
func generation() (uint32, error) {
	answers, err := nfnetlink.Query(context.Background(), unix.NFT_MSG_GETGEN, 0, unix.NFPROTO_UNSPEC)
	if err != nil {
		return 0, err
	}
	if len(answers) == 0 {
		return 0, errors.New("the kernel's answer holds no generation of the ruleset")
	}
	return answers[0].Number(unix.NFTA_GEN_ID), nil
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
