package packettest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestUpgradeKeepsState takes over the rules and the state directory of another version of farmc, under traffic:
// connections continue, clients keep their backends, bans stay. Later edits and rollbacks work.
//
// testdata/older is the state directory of the first packaged farmc. Its script has other sets, with other options.
func TestUpgradeKeepsState(t *testing.T) {
	t.Parallel()
	program := farmc(t)
	for _, left := range []struct {
		name   string
		kept   func(t *testing.T, root string) // changes the state directory, and the loaded script
		status int
		says   string
	}{
		{"by-an-older-one", func(*testing.T, string) {}, 0,
			`all rules anew, remembered clients stay|only the changes`},
		{"by-one-with-other-files", foreignFiles, 1, `all rules anew, remembered clients stay`},
		{"and-lost", func(t *testing.T, root string) {
			must(t, os.RemoveAll(filepath.Join(root, "state")))
			for _, name := range []string{"keep", "range", "turns", "web"} { // the balancer listens on their ports
				dir := filepath.Join(root, "farms.d", name+".toml.d")
				must(t, os.Mkdir(dir, 0o755))
				must(t, writeFile(filepath.Join(dir, "ports.toml"), "take-over = true"))
			}
		}, 1, `all rules anew, remembered clients stay`},
	} {
		t.Run(left.name, func(t *testing.T) {
			t.Parallel()
			s, root := newTestbed(t, netlab.Options{}), t.TempDir()
			must(t, os.CopyFS(root, os.DirFS("testdata/older")))
			loaded := filepath.Join(root, "state", "loaded.nft")
			script, err := os.ReadFile(loaded)
			must(t, err)
			left.kept(t, root)
			if own, err := os.ReadFile(loaded); err == nil {
				script = own
			}
			run := func(command string, want int, says string) step {
				return stepFunc(func(s *testbed) error {
					out, err := s.Balancer.Run(s.ctx, "", "sh", "-c",
						`cd "$1" && { "$2" $3 --dir farms.d --state-dir state 2>&1; echo "status $?"; }`, "sh", root,
						program, command)
					if ended := strings.HasSuffix(out, fmt.Sprintf("status %d\n", want)); err == nil &&
						(!ended || !regexp.MustCompile(says).MatchString(out)) {
						err = fmt.Errorf("farmc %s has to exit with %d and print %q, but prints\n%s", command, want,
							says, out)
					}
					return err
				})
			}
			edit := func(from, to string) step {
				return stepFunc(func(*testbed) error {
					web := filepath.Join(root, "farms.d", "web.toml")
					text, err := os.ReadFile(web)
					return errors.Join(err, os.WriteFile(web, []byte(strings.Replace(string(text), from, to, 1)),
						0o644))
				})
			}
			goesOn := steps{echo{}, keepBackend{name: "kept", by: "tcp", to: "192.0.2.3:80 [2001:db8::3]:80",
				sees: "balancer"},
				nftScript("get element inet farmc farm/keep/banned-ip4 { 198.51.100.77 }\n")}
			err = steps{
				nftScript(script),
				hold{by: "tcp udp", to: service1},
				hold{by: "tcp",
					to: service2 + " " + service3 + " 192.0.2.4:8050 [2001:db8::4]:8050"},
				nftScript("add element inet farmc farm/keep/banned-ip4 { 198.51.100.77 timeout 1h }\n"),
				goesOn,
				run("status", left.status, ""),
				run("apply", 0, left.says), goesOn,
				run("apply", 0, "nothing to do"), run("status keep", 0, "banned +198.51.100.77 for "),
				run("diff", 0, `\Astatus`),
				edit("weight  = 3", "weight  = 5"), run("apply", 0, "only the changes"), goesOn,
				request{by: "tcp", to: service1, shares: shares{"b1:8081": 5, "b2:8082": 1}, sees: "balancer"},
				run("rollback", 0, "weight 5 → 3"), goesOn,
				run("apply", 1, "these farms were rolled back"),
				run("rollback", 1, "no previous load to restore"),
			}.do(s)
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// foreignFiles makes the files of a farmc that uses the same file names with other contents, and has other rules.
func foreignFiles(t *testing.T, root string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(root, "state", name) }
	script, err := os.ReadFile(at("loaded.nft"))
	must(t, err)
	text := strings.Replace(string(script), "farmc sha256:", "farmc digest 9:", 1) + `
table inet farmc {
	set farm/keep/elders { type ipv4_addr; flags dynamic, timeout; timeout 1h; }
	map farm/turns/other {
		type ipv4_addr . inet_service : verdict
		elements = { 192.0.2.2 . 81 : goto farm/turns/elder }
	}
	chain farm/turns/elder { counter; }
	chain elder { type filter hook forward priority 5; ip daddr . tcp dport vmap @farm/turns/other; }
}
`
	must(t, errors.Join(writeFile(at("loaded.nft"), text), writeFile(at("previous.nft"), text),
		writeFile(at("loaded.zip"), "no zip"), writeFile(at("previous.zip"), ""),
		writeFile(at("loaded.json"), `{"format": 9, "digest": ["of", "several"], "farms": "elsewhere"}`),
		writeFile(at("boot.nft"), text)))
}
