package compiler_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
	"farmc/compiler/ruleset"
)

// TestChainsDontGrowWithPlainFarms: the kernel's time to load is quadratic in chains and maps.
func TestChainsDontGrowWithPlainFarms(t *testing.T) {
	for _, keys := range []string{"", "mode = 'dnat'", "scheduler = 'hash'", "scheduler = 'symmetric-hash'",
		"source-address = ['10.9.9.9', 'fd99::9']", "local-clients = true"} {
		t.Run(keys, func(t *testing.T) {
			few, many := shapes(t, compilertest.PlainFarms(2, keys)), shapes(t, compilertest.PlainFarms(200, keys))
			if few != many {
				t.Errorf("2 farms have %s, 200 have %s", few, many)
			}
		})
	}
}

// TestChainsHaveSteps: each chain of the goldens belongs to a step of the packet's way, and its rules are those of the
// script.
func TestChainsHaveSteps(t *testing.T) {
	for _, name := range compilertest.Cases(t) {
		script, _ := compiler.Compile(compilertest.CaseDirs(t, name))
		if script == nil {
			continue
		}
		lines := strings.Split(string(script.Text), "\n")
		for _, table := range ruleset.TableFamilies {
			for _, c := range script.Chains(table) {
				if c.Step == "" {
					t.Errorf("%s: chain %s of table %s has no step", name, c.Name, table)
				}
				for _, rule := range c.Rules {
					if got := strings.TrimSpace(lines[rule.Number-1]); got != rule.Text {
						t.Errorf("%s: chain %s: line %d is %q, not %q", name, c.Name, rule.Number, got, rule.Text)
					}
				}
			}
		}
	}
}

func shapes(t *testing.T, files fstest.MapFS) string {
	t.Helper()
	r, err := compilertest.ReadScript(string(compilertest.Compiled(t, farm.Dir{FS: files}).Text))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d chains and %d maps", len(r.Chains), len(r.Maps))
}

// TestChainsOfItsOwn: a farm has chains of its own only where it cannot share.
func TestChainsOfItsOwn(t *testing.T) {
	const backends = "[backends.b1]\naddress = ['10.0.0.11', 'fd00::11']\n[backends.b2]\naddress = ['10.0.0.12', " +
		"'fd00::12']\n"
	for _, test := range []struct {
		rule string
		text string
		want string // the chains that choose a backend
	}{
		{"port", "listen = '192.0.2.10:80'", "dnat-random-2-ip4"},
		{"both-families", "listen = ['192.0.2.10:80', '[2001:db8::10]:80']", "dnat-random-2-ip4 dnat-random-2-ip6"},
		{"range", "listen = '192.0.2.10:80-90'", "farm/web/ip4"},
		{"port-and-range", "listen = '192.0.2.10:80,90-99'", "dnat-random-2-ip4 farm/web/ip4"},
		{"whole-address", "listen = '192.0.2.10/all'", "dnat-all-random-2-ip4"},
		{"any-address", "listen = '*:80'", "farm/web/ip4 farm/web/ip6"},
		{"round-robin", "listen = '192.0.2.10:80'\nscheduler = 'round-robin'", "farm/web/ip4"},
		{"hash", "listen = ['192.0.2.10:80', '[2001:db8::10]:80']\nscheduler = " +
			"'hash'", "dnat-hash-saddr-2-ip4 dnat-hash-saddr-2-ip6"},
		{"hash-as-wide-as-can-be-shared", "listen = '[2001:db8::10]:80'\nscheduler = 'hash'\nhash-on = " +
			"['source-address', 'source-port']", "dnat-hash-saddr-sport-2-ip6"},
		{"hash-too-wide-to-share", "listen = '[2001:db8::10]:80'\nscheduler = 'hash'\nhash-on = ['source-address', " +
			"'source-mac']", "farm/web/ip6"},
		{"hash-of-ip4-is-never-too-wide", "listen = '192.0.2.10:80'\nscheduler = 'hash'\nhash-on = " +
			"['source-address', 'source-mac']", "dnat-hash-saddr-smac-2-ip4"},
		{"drained", "listen = '192.0.2.10:80'\n[backends.b3]\naddress = '10.0.0.13'\nstate = " +
			"'drain'", "dnat-random-2-ip4"},
		{"down", "listen = '192.0.2.10:80'\nstate = 'down'", ""},
	} {
		t.Run(test.rule, func(t *testing.T) {
			script, told := compiler.Compile(
				[]farm.Dir{{FS: fstest.MapFS{"web.toml": {Data: []byte(test.text + "\n" + backends)}}}},
			)
			if strings.Contains(compilertest.Printed(told), "no address of a family") { // IPv4 alone: fewer addresses
				script, told = compiler.Compile(
					[]farm.Dir{
						{
							FS: fstest.MapFS{
								"web.toml": {
									Data: []byte(
										test.text + "\n" + strings.ReplaceAll(backends, ", 'fd00", "] # ['fd00"),
									),
								},
							},
						},
					},
				)
			}
			if told.Faulty() {
				t.Fatal(compilertest.Printed(told))
			}
			r, err := compilertest.ReadScript(string(script.Text))
			if err != nil {
				t.Fatal(err)
			}
			var choosing []string
			for _, name := range slices.Sorted(maps.Keys(r.Chains)) {
				if strings.HasPrefix(name, "dnat-") || strings.HasPrefix(name, "farm/") {
					choosing = append(choosing, name)
				}
			}
			if got := strings.Join(choosing, " "); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestConnectionTrackingStays: with any farms, the kernel keeps connection tracking on.
func TestConnectionTrackingStays(t *testing.T) {
	for name, files := range map[string]fstest.MapFS{
		"none": {}, "down": {"web.toml": {Data: []byte("state = 'down'\n" + fittingFarm)}},
		"no-backend": {"web.toml": {Data: []byte(fittingFarm + "state = 'down'\n")}},
	} {
		script, _ := compiler.Compile([]farm.Dir{{FS: files}})
		if script == nil ||
			!strings.Contains(string(script.Text), "\tchain keep-conntrack {\n\t\tct state new comment ") {
			t.Errorf("%s: no chain keeps it", name)
		}
	}
}

// TestDigest: the comment of a rule carries it, and it changes with all that the script says, and nothing else.
func TestDigest(t *testing.T) {
	one := compilertest.Compiled(t, farm.Dir{FS: fstest.MapFS{"web.toml": {Data: []byte(fittingFarm)}}})
	same := compilertest.Compiled(
		t,
		farm.Dir{Path: "elsewhere", FS: fstest.MapFS{"web.toml": {Data: []byte("# another comment\n" + fittingFarm)}}},
	)
	other := compilertest.Compiled(t, farm.Dir{FS: fstest.MapFS{"shop.toml": {Data: []byte(fittingFarm)}}})
	if len(one.Digest) != 64 ||
		!strings.Contains(string(one.Text), "\n\t\tct state new comment \"farmc sha256:"+one.Digest+"\"\n") {
		t.Errorf("the digest %s is not in the script", one.Digest)
	}
	if same.Digest != one.Digest || other.Digest == one.Digest {
		t.Errorf("digests are %s, %s, %s", one.Digest, same.Digest, other.Digest)
	}
}

// TestFarmsInOrder: a script tells its farms by name.
func TestFarmsInOrder(t *testing.T) {
	var names []string
	for _, f := range compilertest.Compiled(t, farm.Dir{FS: compilertest.PlainFarms(12, "")}).Farms {
		names = append(names, f.Name)
	}
	if len(names) != 12 || !slices.IsSorted(names) {
		t.Errorf("got %s", names)
	}
}
