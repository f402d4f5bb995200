package compiler_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
)

// Up to 128 farms with persistence translate connections of known clients without a jump, each by a map of its own.
// More of them share a target chain, as the kernel takes too long to load so many rules that ask maps.
func TestKnownClientsOfManyFarms(t *testing.T) {
	const form = `mode = "dnat"
listen = ["192.0.%d.%d:80"]
persistence = {}
backends.b1.address = "10.2.0.11"
`
	for _, c := range []struct {
		farms  int
		shared bool
	}{{1, false}, {128, false}, {129, true}} {
		t.Run(fmt.Sprint(c.farms), func(t *testing.T) {
			files := compilertest.PlainFarms(1, "mode = \"dnat\"")
			for i := range c.farms {
				text := fmt.Appendf(nil, form, 1+i/200, 1+i%200)
				files[fmt.Sprintf("persistent%d.toml", i)] = &fstest.MapFile{Data: text}
			}
			script := string(compilertest.Compiled(t, farm.Dir{FS: files}).Text)
			direct := strings.Count(script, " : ip daddr } dnat ip to ip daddr map @farm/persistent")
			jumps := strings.Count(script, " : ip daddr } jump home-ip4\n")
			own := strings.Count(script, "/backends-ip4 {\n")
			want := [3]int{c.farms, 0, c.farms}
			if c.shared {
				want = [3]int{0, c.farms, 0}
			}
			if got := [3]int{direct, jumps, own}; got != want {
				t.Errorf("translations, jumps to the shared chain, and maps of a farm are %v instead of %v", got, want)
			}
		})
	}
}
