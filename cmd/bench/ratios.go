package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// tolerance is the share by which a ratio may differ from the expected one.
const tolerance = 0.01

// A ratio is the cost of a packet as a multiple of the same packet's cost with a rule by hand that translates it.
type ratio struct {
	family, packet, kind string
	value                float64
}

func (r ratio) name() string { return r.family + " " + r.packet + " " + r.kind }

func (r ratio) isDearer(before float64) bool { return r.value > before*(1+tolerance) }

func (r ratio) against(before float64) string {
	return fmt.Sprintf("%.4f of the rules by hand, not %.4f", r.value, before)
}

// ratios are the ratios of all measured packets.
func (p *packetBench) ratios() (all []ratio) {
	for _, c := range p.costs {
		hand := p.byHand[c.family]
		add := func(packet string, got, want float64) {
			all = append(all, ratio{c.family, packet, c.kind.name, got / want})
		}
		add("established", c.established, hand.established)
		if !c.kind.oneWay {
			add("reply", c.reply, hand.reply)
		}
		add("new", c.opening, hand.opening)
	}
	return all
}

// judge compares the ratios with the expected ones in a file, or writes that file.
func (p *packetBench) judge(o options) error {
	got := p.ratios()
	if o.expect == "" {
		return nil
	}
	expected, err := readRatios(o.expect)
	if err != nil {
		return err
	}
	if expected.ratios == nil && !o.update {
		return fmt.Errorf("%s has no ratios: make packets UPDATE=1", o.expect)
	}
	if release := kernelSeries(); release != expected.kernel && !o.update {
		fmt.Printf("\nno ratios are expected of Linux %s: %s is for %s\n", release, o.expect, expected.kernel)
		return nil
	}
	if o.update {
		return writeRatios(o.expect, kernelSeries(), merge(expected.ratios, got, o.only != ""))
	}
	for round := 1; round < mostRounds; round++ {
		dear := dearer(expected.ratios, p.ratios())
		if len(dear) == 0 {
			break
		}
		fmt.Println("\nmeasured again, as packets seem dearer:")
		if err := p.again(dear); err != nil {
			return err
		}
	}
	return compare(expected.ratios, p.ratios(), o.only)
}

// dearer returns the kinds of the ratios that are above the expected ones.
func dearer(expected, got []ratio) (kinds []string) {
	for _, r := range got {
		for _, e := range expected {
			if e.name() == r.name() && r.isDearer(e.value) && !slices.Contains(kinds, r.kind) {
				kinds = append(kinds, r.kind)
			}
		}
	}
	return kinds
}

// again measures packets through farms of some kinds once more.
func (p *packetBench) again(kinds []string) error {
	for _, k := range packetKinds {
		if !slices.Contains(kinds, k.name) {
			continue
		}
		if err := p.measureKind(k, 1); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

// compare prints each ratio that differs from the expected one. A dearer packet, and one without an expected ratio, is
// an error.
func compare(expected, got []ratio, only string) error {
	want := map[string]float64{}
	for _, r := range expected {
		if selected(r.kind, only) {
			want[r.name()] = r.value
		}
	}
	var errs []error
	cheaper := 0
	for _, r := range got {
		before, ok := want[r.name()]
		delete(want, r.name())
		change := 100 * (r.value/before - 1)
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("%s has no expected ratio", r.name()))
		case r.isDearer(before):
			errs = append(errs, fmt.Errorf("%s costs %.1f %% more: %s", r.name(), change, r.against(before)))
		case r.value < before*(1-tolerance):
			cheaper++
			fmt.Printf("%s costs %.1f %% less: %s\n", r.name(), -change, r.against(before))
		}
	}
	for name := range want {
		errs = append(errs, fmt.Errorf("%s is expected, and not measured", name))
	}
	if len(errs) > 0 {
		errs = append(errs, errors.New("if these costs are meant: make packets UPDATE=1"))
		return errors.Join(errs...)
	}
	fmt.Printf("\n%d ratios are as expected, to %.0f %%\n", len(got)-cheaper, 100*tolerance)
	if cheaper > 0 {
		fmt.Printf("%d are less, and should be expected from now on: make packets UPDATE=1\n", cheaper)
	}
	return nil
}

// expectations are the content of a file of ratios.
type expectations struct {
	kernel string
	ratios []ratio
}

const ratiosHead = "# Costs of packets, as multiples of a rule by hand in the same run: make packets UPDATE=1.\n" +
	"# Linux "

// readRatios reads a file of ratios: a value, a family, a packet and a kind in each line.
func readRatios(path string) (e expectations, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return e, err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if release, ok := strings.CutPrefix(line, "# Linux "); ok {
			e.kernel = release
		}
		if line == "" || line[0] == '#' {
			continue
		}
		var r ratio
		if _, err := fmt.Sscan(line, &r.value, &r.family, &r.packet); err != nil {
			return e, fmt.Errorf("%s: %q: want a value, a family, a packet and a kind", path, line)
		}
		_, r.kind, _ = strings.Cut(line, r.packet)
		r.kind = strings.TrimSpace(r.kind)
		e.ratios = append(e.ratios, r)
	}
	return e, nil
}

// merge puts ratios in the place of the old ones with their names. Old ones without a new one stay if only some kinds
// were measured.
func merge(old, got []ratio, some bool) []ratio {
	if !some {
		return got
	}
	merged := slices.Clone(old)
	for _, r := range got {
		if i := slices.IndexFunc(merged, func(o ratio) bool { return o.name() == r.name() }); i >= 0 {
			merged[i] = r
		} else {
			merged = append(merged, r)
		}
	}
	return merged
}

func writeRatios(path, kernel string, all []ratio) error {
	var text strings.Builder
	text.WriteString(ratiosHead + kernel + "\n")
	for _, r := range all {
		fmt.Fprintf(&text, "%.4f  %s  %-11s  %s\n", r.value, r.family, r.packet, r.kind)
	}
	fmt.Printf("\nwrote %d ratios to %s\n", len(all), path)
	return os.WriteFile(path, []byte(text.String()), 0o644)
}

// kernelSeries is the kernel's version without its last number: 6.1.
func kernelSeries() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	numbers := strings.SplitN(unix.ByteSliceToString(name.Release[:]), ".", 3)
	return strings.Join(numbers[:min(2, len(numbers))], ".")
}
