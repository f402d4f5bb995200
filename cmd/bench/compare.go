package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// compareKinds loads a number of farms of each kind, in turn with both references, and prints a table. The kinds are
// selected by parts of their names, with commas between them; "" selects all.
func (b *bench) compareKinds(farms int, only string) error {
	for name, r := range map[string]reference{"shared.nft": shared, "each.nft": each} {
		if err := r.write(b.path(name), farms, false); err != nil {
			return err
		}
	}
	fmt.Printf("\n%-23s  chains    sets elements  compile      MB    load    user  kernel      MB to shared to each\n",
		fmt.Sprintf("%d farms of a kind", farms))
	for _, k := range kinds {
		if !slices.ContainsFunc(strings.Split(only, ","),
			func(part string) bool { return strings.Contains(k.name, part) }) {
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
		fmt.Printf("  %-21s not supported by this kernel\n", k.name)
		return nil
	}
	costs, err := b.measureInTurn(
		task{nil, func() (cost, error) {
			return b.measure(b.farmc, "compile", "--dir", b.path("farms.d"), "-o",
				script)
		}},
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
		seconds(costs[0].Time), megabytes(costs[0].Memory), seconds(costs[1].Time), seconds(costs[1].User),
		seconds(costs[1].System), megabytes(costs[1].Memory),
		costs[1].times(costs[2]), costs[1].times(costs[3]))
	return nil
}

// anonymousSet matches a set in a rule. A set of one element is none for the kernel, nor are the braces of update.
var anonymousSet = regexp.MustCompile(`\{ [^{},]+, [^{}]* \}`)

// A size is the number of objects that the kernel's time to load depends on.
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
			s.sets += len(anonymousSet.FindAllString(line, -1))
		}
	}
	return s
}
