package packettest

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"testing/fstest"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// farms replace all loaded farms, as apply does: text by name. The name of a list ends in ".list".
type farms map[string]string

func (f farms) do(s *testbed) error { return s.apply(f.files()) }

// files are the farms, with drop-ins that let them take the ports of the testbed's servers on the balancer. These tell
// packets that the farms left alone.
func (f farms) files() fs.FS {
	files := fstest.MapFS{}
	for name, text := range f {
		if !strings.HasSuffix(name, ".list") && !strings.HasSuffix(name, ".incomplete") {
			name += ".toml"
		}
		files[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		if takesPorts(text) {
			files[name+".d/take-over.toml"] = &fstest.MapFile{Data: []byte("take-over = true\n"), Mode: 0o644}
		}
	}
	return files
}

var localMode = regexp.MustCompile(`mode\s*=\s*["']local["']`)

// takesPorts reports whether a text is a farm that can take ports and does not say whether it may.
func takesPorts(farm string) bool {
	return strings.Contains(farm, "listen") && !strings.Contains(farm, "take-over") && !localMode.MatchString(farm)
}

// takingOver lets a farm take ports.
func takingOver(farm string) string {
	if takesPorts(farm) {
		return "take-over = true\n" + farm
	}
	return farm
}

func (s *testbed) apply(files fs.FS) error {
	s.engine.Dirs = []farm.Dir{{Path: "farms.d", FS: files}}
	return s.Balancer.Do(func() error {
		_, told, err := s.engine.Apply(s.ctx)
		if err == nil {
			return nil
		}
		var text strings.Builder
		told.Print(&text, diag.Palette{})
		return fmt.Errorf("%w\n%s", err, text.String())
	})
}

// pipeScript is farmc compile | nft -f -.
var pipeScript = stepFunc(func(s *testbed) error {
	script, told := s.engine.Compile()
	if told.Faulty() {
		return fmt.Errorf("%v", told)
	}
	return nftScript(script.Text).do(s)
})

// nftScript is a script of other software, loaded on the balancer.
type nftScript string

func (f nftScript) do(s *testbed) error {
	_, err := s.Balancer.Run(s.ctx, string(f), "nft", "-f", "-")
	return err
}

// deleteTable deletes farmc's table.
const deleteTable = nftScript("delete table inet farmc\n")

// dropIngress drops all packets on the balancer until acceptIngress. Without rules the balancer takes the last
// acknowledgement of a transfer, which comes up to 40 ms later, as its own, and resets the connection.
const (
	dropIngress   = nftScript("table inet shut { chain c { type filter hook prerouting priority -500; drop; }; }\n")
	acceptIngress = nftScript("delete table inet shut\n")
)
