package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/preflight"
	"farmc/compiler/farm"
)

// want wants findings with these words in their texts, in this order.
func want(t *testing.T, found preflight.Findings, words ...string) {
	t.Helper()
	if len(found) != len(words) {
		t.Fatalf("found %+v, want %q", found, words)
	}
	for i, f := range found {
		if text := f.Text() + " | " + f.Hint(); !strings.Contains(text, words[i]) {
			t.Errorf("found %q, want %q", text, words[i])
		}
	}
}

func TestTracking(t *testing.T) {
	tracked := []*farm.Farm{{Name: "web", Mode: farm.SNAT}, {Name: "own", Mode: farm.Local},
		{Name: "dns", Mode: farm.DSR}}
	want(t, tracking{79_999, 100_000}.findings(tracked))
	want(t, tracking{80_000, 100_000}.findings(tracked),
		"has 80000 of at most 100000 entries: new connections fail when it is full (farms web, own) | "+
			"sysctl -w net.netfilter.nf_conntrack_max=200000")
	want(t, tracking{80_000, 100_000}.findings(tracked[2:]))
	want(t, tracking{}.findings(tracked))
}

func TestVersions(t *testing.T) {
	want(t, versions("1.0.6", "6.1.0-13-amd64"))
	want(t, versions("1.1.3", "6.12.48+deb13-amd64"))
	want(t, versions("2", "10.0-rc1"))
	want(t, versions("", ""))
	want(t, versions("1.0.5", "6.1"), "nft is 1.0.5, and farmc needs 1.0.6 at least")
	want(t, versions("0.9.8", "5.10.0-8-amd64"), "nft is 0.9.8", "Linux is 5.10.0-8-amd64, and farmc needs 6.1")
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)
	want(t, clock(now.Add(30*time.Second), now))
	want(t, clock(time.Time{}, now))
	want(t, clock(now.Add(time.Hour), now),
		"the clock says 2026-11-29 03:00:00, and the last load was at 2026-11-29 04:00:00")
}

// systemctl is a program that prints units as systemctl show does.
func systemctl(t *testing.T, blocks string) {
	t.Helper()
	dir := t.TempDir()
	text := "#!/bin/sh\ncat <<'E'\n" + blocks + "E\n"
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func block(id, load, active, enabled string) string {
	return "Id=" + id + "\nLoadState=" + load + "\nActiveState=" + active + "\nUnitFileState=" + enabled + "\n\n"
}

func TestUnits(t *testing.T) {
	for _, c := range []struct {
		name, blocks string
		words        []string
	}{
		{"as installed",
			block(watchUnit, "loaded", "active", "enabled") + block(bootUnit, "loaded", "active", "enabled"), nil},
		{"by path",
			block(watchUnit, "loaded", "inactive", "disabled") + block(bootUnit, "loaded", "active", "enabled") +
				block(pathUnit, "loaded", "active", "enabled"), nil},
		{"not installed", block(watchUnit, "not-found", "inactive", ""), nil},
		{"failed", block(watchUnit, "loaded", "failed", "enabled") + block(bootUnit, "loaded", "active", "enabled"),
			[]string{watchUnit + " failed | journalctl -n 20 -u " + watchUnit, "no unit follows the files"}},
		{"nothing enabled",
			block(watchUnit, "loaded", "active", "disabled") + block(bootUnit, "loaded", "inactive", "disabled"),
			[]string{"no unit loads the farms at the next boot | " +
				"systemctl enable farmc-boot.service farmc-watch.service"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			systemctl(t, c.blocks)
			want(t, units(t.Context()), c.words...)
		})
	}
}

func TestBackendCommands(t *testing.T) {
	for mode, words := range map[farm.Mode]string{farm.SNAT: "needs no change", farm.Local: "has no backends",
		farm.DNAT: "must pass the balancer", farm.Stateless: "must pass the balancer", farm.DSR: "arp_ignore=1"} {
		text := strings.Join(BackendCommands(&farm.Farm{Name: "web", Mode: mode}), "\n")
		if !strings.Contains(text, words) {
			t.Errorf("%s: %s", mode, text)
		}
	}
}
