package preflight

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farmc/compiler/farm"
)

// One modprobe runs for each helper of farms that are up. A module that is neither loaded nor built in is one finding
// of all its farms.
func TestLoadTranslators(t *testing.T) {
	t.Setenv("INVOCATION_ID", "") // not a service
	calls := fakeModprobe(t, 1)
	known := map[string]module{
		"ftp":  {"farmc_no_such_module", "farmc_no_such_symbol"},
		"sip":  {"farmc_nor_this", "farmc_nor_this"},
		"tftp": {"farmc_built_in", "vfs_read"}, // unknown to modprobe, but the kernel has the symbol
	}
	farms := []*farm.Farm{
		{Name: "a", Helper: "ftp"}, {Name: "b", Helper: "ftp"}, {Name: "c", Helper: "sip", Down: true},
		{Name: "d"}, {Name: "e", Helper: "tftp"},
	}
	loadTranslators(t.Context(), known, farms)
	var missing collection
	missing.missingTranslators(known, farms)
	found := missing.all
	got, err := os.ReadFile(calls)
	if want := "-q farmc_no_such_module\n-q farmc_built_in\n"; err != nil || string(got) != want {
		t.Errorf("modprobe was called with %q, want %q; %v", got, want, err)
	}
	if len(found) != 1 || !slices.Equal(found[0].Farms, []string{"a", "b"}) || found.Stop() ||
		!strings.Contains(found[0].Message, "lacks module farmc_no_such_module, so addresses inside of ftp") ||
		!slices.Equal(found[0].Commands, []string{"modprobe farmc_no_such_module"}) {
		t.Errorf("found %v", found)
	}
}

// A file that a service may not read is no sign that a module is absent: /proc/kallsyms is empty, or cannot be opened.
func TestHiddenSymbols(t *testing.T) {
	dir := t.TempDir()
	empty, missing, other := filepath.Join(dir, "empty"), filepath.Join(dir, "no"), filepath.Join(dir, "other")
	if err := errors.Join(os.WriteFile(empty, nil, 0o600), os.WriteFile(other, []byte("0 T vfs_read\n"),
		0o600)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{empty: true, missing: true, other: false} {
		if got := mayContain(path, func(line string) bool {
			return strings.Contains(line,
				"nf_nat_ftp")
		}); got != want {
			t.Errorf("%s may show the module: %v", path, got)
		}
	}
}

// A service without the privilege asks systemd, and a module that is absent afterwards is a finding.
func TestLoadTranslatorsAsService(t *testing.T) {
	fakeModprobe(t, 1)
	t.Setenv("INVOCATION_ID", "6d4dd1ea")
	for _, status := range []int{0, 1} {
		calls := fake(t, "systemctl", status)
		known := map[string]module{"ftp": {"farmc_no_such_module", "farmc_no_such_symbol"}}
		farms := []*farm.Farm{{Name: "a", Helper: "ftp"}}
		loadTranslators(t.Context(), known, farms)
		var missing collection
		missing.missingTranslators(known, farms)
		found := missing.all
		got, err := os.ReadFile(calls)
		if want := "--quiet start modprobe@farmc_no_such_module.service\n"; err != nil || string(got) != want {
			t.Errorf("systemctl was called with %q, want %q; %v", got, want, err)
		}
		if len(found) != 1 {
			t.Errorf("systemctl exits with %d: found %v", status, found)
		}
	}
}

func fakeModprobe(t *testing.T, status int) (calls string) { return fake(t, "modprobe", status) }

// fake puts a program first on PATH that appends its arguments to the file calls and exits with status.
func fake(t *testing.T, program string, status int) (calls string) {
	dir := t.TempDir()
	calls = filepath.Join(dir, "calls")
	script := "#!/bin/sh\necho \"$@\" >> " + calls + "\nexit " + string(rune('0'+status)) + "\n"
	if err := os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return calls
}
