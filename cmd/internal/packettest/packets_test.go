package packettest

import (
	"slices"
	"testing"
)

func TestPackets(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range slices.Concat(weightScenes(), portScenes, addressScenes, sourceScenes, localScenes, stateScenes,
		refusalScenes(), reloadScenes, keptScenes(), cutScenes(), hashScenes, keyScenes, kernelScenes) {
		if seen[c.name] {
			t.Errorf("two cases are called %s", c.name)
		}
		seen[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.steps.do(newStage(t, c.lab)); err != nil {
				t.Error(err)
			}
		})
	}
}
