package preflight

import (
	"os"
	"slices"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

// A new table of each program has no rule, and policies ACCEPT. Asking for it makes it. A
// table that cannot be read is not harmless.
func TestHarmlessLegacyTables(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	if err := lab.Balancer.Do(func() error {
		for _, p := range legacyPrograms {
			harmless := p.isHarmless("filter")
			names, _ := os.ReadFile("/proc/thread-self/net/" + p.tables)
			if !slices.Contains(strings.Fields(string(names)), "filter") {
				t.Logf("the kernel has no tables of %s", p.name)
				continue
			}
			if !harmless || p.isHarmless("none") {
				t.Errorf("%s: a table without rules is %t, and no table %t", p.name, harmless, p.isHarmless("none"))
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
