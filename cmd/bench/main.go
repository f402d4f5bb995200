// Bench measures what farms cost, from their files to the kernel, in a network namespace of its own: with the farmc and
// the nft that users have, beside two rulesets written for the purpose, in the same run.
//
//	bench [-farms 10,1000,10000] [-kinds 1000] [-only NAME] [-packets 1,10000] [-rounds 3] FARMC
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"farmc/cmd/internal/netlab"
)

func main() {
	if filepath.Base(os.Args[0]) == "nft" {
		os.Exit(standIn())
	}
	var o options
	flag.Var(&o.farms, "farms", "how many plain farms to take the whole way, several with commas")
	flag.Var(&o.kinds, "kinds", "how many farms of each kind to load, several with commas")
	flag.StringVar(&o.only, "only", "", "of the kinds, those whose names contain this, or one of these, with commas between")
	flag.Var(&o.packets, "packets", "among how many farms to send packets, several with commas")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each is measured; the shortest time counts")
	flag.Parse()
	if flag.NArg() != 1 || o.rounds < 1 {
		fmt.Fprintln(os.Stderr, "usage: bench [-farms 10,1000,10000] [-kinds 1000] [-only NAME] [-packets 1,10000] [-rounds 3] FARMC")
		os.Exit(2)
	}
	if err := run(o, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	farms, kinds, packets counts
	only                  string
	rounds                int
}

// counts are numbers with commas.
type counts []int

func (c *counts) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint([]int(*c)), " ", ","), "[]")
}

func (c *counts) Set(text string) error {
	*c = nil
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > mostFarms {
			return fmt.Errorf("%q is not a number from 1 to %d", word, mostFarms)
		}
		*c = append(*c, n)
	}
	return nil
}

func run(o options, farmc string) error {
	if err := netlab.Enter(); err != nil {
		return err
	}
	if len(o.packets) > 0 {
		return packets(farmc, o.packets, o.rounds)
	}
	b, err := newBench(farmc, o.rounds)
	if err != nil {
		return err
	}
	defer b.close()
	if err := b.introduce(); err != nil {
		return err
	}
	for _, n := range o.farms {
		if err := b.wholeWay(n); err != nil {
			return fmt.Errorf("%d farms: %w", n, err)
		}
	}
	for _, n := range o.kinds {
		if err := b.compareKinds(n, o.only); err != nil {
			return fmt.Errorf("%d farms of a kind: %w", n, err)
		}
	}
	return nil
}
