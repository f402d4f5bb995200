package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// compareKinds loads so many farms of each kind, in turn with both references.
func (b *bench) compareKinds(farms int, only string) error {
	for name, r := range map[string]reference{"shared.nft": shared, "each.nft": each} {
		if err := r.write(b.path(name), farms, false); err != nil {
			return err
		}
	}
	fmt.Printf("\n%-23s  chains    sets elements  compile      MB    load    user  kernel      MB to shared to each\n", fmt.Sprintf("%d farms of a kind", farms))
	for _, k := range kinds {
		if !slices.ContainsFunc(strings.Split(only, ","), func(part string) bool { return strings.Contains(k.name, part) }) {
			continue
		}
		if err := b.compareKind(k, farms); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

func (b *bench) compareKind(k kind, farms int) error {
	script := b.path("script.nft")
	if err := k.write(b.path("farms.d"), farms); err != nil {
		return err
	}
	load := func(path string) task {
		return task{b.flush, func() (cost, error) { return b.measure("nft", "-f", path) }}
	}
	if _, err := b.measure(b.farmc, "compile", "--dir", b.path("farms.d"), "-o", script); err != nil {
		return err
	}
	if _, err := load(script).measure(); err != nil && k.optional {
		fmt.Printf("  %-21s this kernel can't\n", k.name)
		return nil
	}
	costs, err := b.take(
		task{nil, func() (cost, error) { return b.measure(b.farmc, "compile", "--dir", b.path("farms.d"), "-o", script) }},
		load(script), load(b.path("shared.nft")), load(b.path("each.nft")),
	)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(script)
	if err != nil {
		return err
	}
	s := sizeOf(string(text))
	fmt.Printf("  %-21s %7d %7d %8d %8s %7s %7s %7s %7s %7s %9.1f %7.2f\n", k.name, s.chains, s.sets, s.elements,
		seconds(costs[0].Time), megabytes(costs[0].Memory), seconds(costs[1].Time), seconds(costs[1].User), seconds(costs[1].System), megabytes(costs[1].Memory),
		costs[1].times(costs[2]), costs[1].times(costs[3]))
	return nil
}

// unnamed is a set that stands in a rule. One element alone is none, and what is put into a set isn't, either.
var unnamed = regexp.MustCompile(`\{ [^{},]+, [^{}]* \}`)

// A size is how much there is of what the kernel's time to load depends on.
type size struct{ chains, sets, elements int }

func sizeOf(script string) (s size) {
	for line := range strings.Lines(script) {
		switch {
		case strings.HasPrefix(line, "\tchain "):
			s.chains++
		case strings.HasPrefix(line, "\tmap "), strings.HasPrefix(line, "\tset "):
			s.sets++
		case strings.HasPrefix(line, "\t\t\t") && !strings.HasPrefix(line, "\t\t\t#"):
			s.elements++
		case strings.HasPrefix(line, "\t\t") && !strings.HasPrefix(line, "\t\ttype "):
			s.sets += len(unnamed.FindAllString(line, -1))
		}
	}
	return s
}
