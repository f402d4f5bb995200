// Command bench measures the time and the memory that farms need, from their files to the kernel, in a network
// namespace of its own. It runs farmc and nft as users do, and in the same run two reference rulesets, because only
// ratios can be compared between machines.
//
// Files: main.go (flags), run.go (runs programs and measures them), endtoend.go (farms from file to kernel), compare.go
// (kinds of farms), packets.go (costs of packets: packetlab.go, frames.go, ratios.go), contest.go and
// balancers.go (the same through other balancers), farms.go and reference.go (input), generation.go (waits for the
// kernel), watchprocess.go (a running farmc watch), manage.go and hostile.go (changes by a running farmc watch),
// worst.go and worst_inputs.go (the inputs that cost most).
//
//	bench [-farms 10,1000,10000] [-kinds 1000] [-only NAME] [-rounds 3] FARMC
//	bench -packets 1,10000 [-alike] [-only NAME] [-expect FILE [-update]] FARMC
//	bench -compare [-services 1000] [-only NAME] FARMC
//	bench -manage 10,1000,10000 [-changes 200] [-old FARMC] FARMC
//	bench -worst [-only NAME] FARMC
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
		os.Exit(measureNft())
	}
	var o options
	flag.Var(&o.farms, "farms", "numbers of plain farms to measure from file to kernel, with commas")
	flag.Var(&o.kinds, "kinds", "numbers of farms of each kind to load, with commas")
	flag.StringVar(&o.only, "only", "", "parts of names of kinds to load or worst inputs, with commas; all by default")
	flag.Var(&o.packets, "packets", "numbers of farms to load before packets are measured, with commas")
	flag.BoolVar(&o.alike, "alike", false, "measure packets among farms of the same kind, not of another")
	flag.StringVar(&o.expect, "expect", "", "file with the expected ratios of -packets")
	flag.BoolVar(&o.update, "update", false, "write the ratios into the file of -expect")
	flag.BoolVar(&o.contest, "compare", false, "compare farmc with other balancers")
	flag.IntVar(&o.services, "services", 1000, "number of services with -compare")
	flag.Var(&o.manage, "manage", "numbers of farms that a farmc watch has while programs change them, with commas")
	flag.IntVar(&o.changes, "changes", 200, "number of changes with -manage")
	flag.StringVar(&o.old, "old", "", "an older farmc, to be measured in turn with -manage")
	flag.BoolVar(&o.worst, "worst", false, "only compile the inputs that cost most; fails above 1 GB of memory")
	flag.IntVar(&o.rounds, "rounds", 3, "number of measurements of each; the shortest counts")
	flag.Parse()
	if flag.NArg() != 1 || o.rounds < 1 || o.changes < 1 || o.services < 1 || o.services > maxFarms {
		fmt.Fprintln(os.Stderr,
			"usage: bench [-farms 10,1000,10000] [-kinds 1000] [-only NAME] [-rounds 3] "+
				"[-packets 1,10000] [-alike] [-expect FILE] [-update] [-compare] [-services 1000] "+
				"[-manage 10,1000,10000] [-changes 200] [-old FARMC] [-worst] FARMC")
		os.Exit(2)
	}
	if err := run(o, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	farms, kinds, packets, manage numbers

	only, old, expect string
	rounds, changes   int
	services          int
	worst, update     bool
	contest, alike    bool
}

// numbers are the value of a flag: numbers with commas between them.
type numbers []int

func (c *numbers) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint([]int(*c)), " ", ","), "[]")
}

func (c *numbers) Set(text string) error {
	*c = nil
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > maxFarms {
			return fmt.Errorf("%q: want numbers from 1 to %d", word, maxFarms)
		}
		*c = append(*c, n)
	}
	return nil
}

func run(o options, farmc string) error {
	if o.worst {
		return worst(farmc, o.only)
	}
	if err := netlab.Enter(); err != nil {
		return err
	}
	if len(o.manage) > 0 {
		return manage(o, farmc)
	}
	if o.contest {
		return compareBalancers(farmc, o)
	}
	if len(o.packets) > 0 {
		return packets(farmc, o)
	}
	b, err := newBench(farmc, o.rounds)
	if err != nil {
		return err
	}
	defer b.close()
	if err := b.printHeader(); err != nil {
		return err
	}
	for _, n := range o.farms {
		if err := b.endToEnd(n); err != nil {
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
