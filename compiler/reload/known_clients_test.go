package reload

import (
	"strings"
	"testing"

	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
	"farmc/compiler/ruleset"
)

// The 129th farm with persistence has all of them share a target chain, and once it is gone, each has a map of its own
// again. The kernel takes both reloads; remembered clients stay, and counters go to the elements that count from then
// on.
func TestReloadOfManyPersistentFarms(t *testing.T) {
	t.Parallel()
	k := &reloadedKernel{Kernel: compilertest.NewKernel(t), fresh: map[*ruleset.Script]string{}}
	scripts := map[int]*ruleset.Script{}
	for n, name := range map[int]string{128: "maps of farms", 129: "a shared chain"} {
		files := compilertest.PlainFarms(n, "mode = \"dnat\"\npersistence = {}")
		scripts[n] = compilertest.Compiled(t, farm.Dir{FS: files})
		scripts[n].Digest = name
		if !k.load(scripts[n]) {
			return
		}
	}
	k.reload(scripts[128], scripts[129])
	k.reload(scripts[129], scripts[128])
	for _, at := range [][2]int{{128, 129}, {129, 128}} {
		before, after := scripts[at[0]], scripts[at[1]]
		text := string(reloadBetween(t, before, after).Text)
		for _, change := range []string{"\tmap farm/farm0/clients-", "map inet farmc farm/farm0/clients-"} {
			if strings.Contains(text, change) {
				t.Errorf("from %d farms to %d: the reload has %q", at[0], at[1], change)
			}
		}
		const backends = 3 * 2 * 128 // of the farms that stay, in both families
		if got := strings.Count(text, " counter packets "); got != backends {
			t.Errorf("from %d farms to %d: %d elements go on counting, not %d", at[0], at[1], got, backends)
		}
	}
}
