package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/cmd/internal/netlab"
)

func TestMain(m *testing.M) { os.Exit(netlab.Main(m)) }

// TestPacketsArrive measures packets through rules by hand, on any kernel. Packets that do not arrive are an error, as
// rules that lose packets would look cheap.
func TestPacketsArrive(t *testing.T) {
	if testing.Short() {
		t.Skip("packets take too long for -short")
	}
	l, err := newPacketLab("")
	if errors.Is(err, netlab.ErrUnavailable) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, r := range references {
		l.loadText(t, r.script)
		for _, f := range families {
			c, err := l.measureFamily(f, r.destination()[f.name], false)
			if err != nil {
				t.Fatalf("%s, %s: %v", r.name, f.name, err)
			}
			if c.established <= 0 || c.reply <= 0 || c.opening <= 0 {
				t.Errorf("%s, %s: no cost: %+v", r.name, f.name, c)
			}
		}
	}
	l.loadText(t, `table inet losses {
		chain forward { type filter hook forward priority 0; tcp flags syn / syn,ack drop; }
	}`)
	_, err = l.measureFamily(families[0], viaRoute["IPv4"], true)
	if err == nil || !strings.Contains(err.Error(), "connection 1 of 200 does not reach the backend") {
		t.Errorf("all new connections are dropped: got the error %v", err)
	}
	frames := l.client.frames(families[0], viaRoute["IPv4"], l.ports(1), syn)
	if _, err = l.cost(&l.client, &l.backend, frames); err == nil || !strings.HasPrefix(err.Error(), "0 of 4000") {
		t.Errorf("packets that are dropped: got the error %v", err)
	}
}

func (l *packetLab) loadText(t *testing.T, script string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.nft")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.load(path); err != nil {
		t.Fatal(err)
	}
}

// Packets of a farm meet the same rules among farms of its kind as alone. Among farms of another kind it compiles, too.
func TestFarmsOfOneKindShareTheWay(t *testing.T) {
	for _, k := range packetKinds {
		t.Run(k.name, func(t *testing.T) {
			alone := wayOf(compiledText(t, filesOf(1, k.farm)))
			if among := wayOf(compiledText(t, filesOf(20, k.farm))); among != alone {
				t.Errorf("among 20 farms of the kind:\n%s\nwant the rules of one farm:\n%s", among, alone)
			}
			files := filesOf(20, kindNamed(k.among).farm)
			files["measured.toml"] = &fstest.MapFile{Data: []byte(k.farm(0)), Mode: 0o644}
			compiledText(t, files)
		})
	}
}

// wayOf is the rules of a script that packets of all farms meet: all chains, but for the ones of single farms.
func wayOf(script string) string {
	var way strings.Builder
	inside := false
	for line := range strings.Lines(script) {
		switch {
		case strings.HasPrefix(line, "\tchain "):
			inside = !strings.HasPrefix(line, "\tchain farm/") && !strings.Contains(line, " keep-conntrack ")
		case strings.HasPrefix(line, "\t}"):
			inside = false
		}
		if inside {
			way.WriteString(line)
		}
	}
	return way.String()
}

func TestPoolsHaveAddressesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range poolsOf(2000) {
		for _, a := range append([]string{p.service}, p.backends...) {
			if seen[a] {
				t.Fatal(a, "is there twice")
			}
			seen[a] = true
		}
	}
}
