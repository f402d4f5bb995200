package compiler_test

import (
	"fmt"
	"testing"
	"testing/fstest"

	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
	"farmc/compiler/ruleset"
)

// TestZonesCostLocalClientsNothing: packets of this machine are in no zone, so the chain for them asks no map of one.
func TestZonesCostLocalClientsNothing(t *testing.T) {
	if none, many := rulesOf(t, zones(0), "output"), rulesOf(t, zones(100), "output"); none == 0 || none != many {
		t.Errorf("chain output has %d rules without zones, %d with 100 zones", none, many)
	}
}

// TestZonesHaveOneRule: each packet that comes in passes the chain zones, so it does not grow with the zones.
func TestZonesHaveOneRule(t *testing.T) {
	if few, many := rulesOf(t, zones(2), "zones"), rulesOf(t, zones(100), "zones"); few == 0 || few != many {
		t.Errorf("chain zones has %d rules with 2 zones, %d with 100", few, many)
	}
}

// zones gives a farm without a zone, and a number of farms with a zone each.
func zones(n int) fstest.MapFS {
	files := compilertest.PlainFarms(1, "")
	for i := 1; i <= n; i++ {
		files[fmt.Sprintf("zone%03d.toml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, `
			listen     = ["192.0.2.10:443", "[2001:db8::10]:443", "192.0.2.11:80-89"]
			interfaces = "tenant%d"
			zone       = %[1]d
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
		`, i)}
	}
	return files
}

// rulesOf counts the rules of a chain.
func rulesOf(t *testing.T, files fstest.MapFS, chain string) int {
	t.Helper()
	for _, c := range compilertest.Compiled(t, farm.Dir{FS: files}).Chains(ruleset.Inet) {
		if c.Name == chain {
			return len(c.Rules)
		}
	}
	return 0
}
