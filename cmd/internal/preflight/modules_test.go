package preflight

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farmc/compiler/farm"
)

// One modprobe runs for each helper of farms that are up. A module that is neither loaded nor built in is warned about
// once.
func TestLoadTranslators(t *testing.T) {
	t.Setenv("INVOCATION_ID", "") // not a service
	calls := fakeModprobe(t, 1)
	known := map[string]module{
		"ftp":  {"farmc_no_such_module", "farmc_no_such_symbol"},
		"sip":  {"farmc_nor_this", "farmc_nor_this"},
		"tftp": {"farmc_built_in", "vfs_read"}, // unknown to modprobe, but the kernel has the symbol
	}
	warnings := loadTranslators(t.Context(), known, []*farm.Farm{
		{Name: "a", Helper: "ftp"}, {Name: "b", Helper: "ftp"}, {Name: "c", Helper: "sip", Down: true},
		{Name: "d"}, {Name: "e", Helper: "tftp"},
	})
	got, err := os.ReadFile(calls)
	if want := "-q farmc_no_such_module\n-q farmc_built_in\n"; err != nil || string(got) != want {
		t.Errorf("modprobe was called with %q, want %q; %v", got, want, err)
	}
	if len(warnings) != 1 || warnings[0].Farm != "a" || warnings.Faulty() ||
		!strings.Contains(warnings[0].Message, "lacks module farmc_no_such_module, so addresses inside of ftp") {
		t.Errorf("warnings are %v", warnings)
	}
}

// No warning follows a modprobe that succeeds.
func TestLoadTranslatorsWithModprobe(t *testing.T) {
	fakeModprobe(t, 0)
	for helper := range translators {
		farms := []*farm.Farm{{Name: "a", Helper: helper}}
		if warnings := loadTranslators(t.Context(), translators, farms); len(warnings) != 0 {
			t.Errorf("%s: warnings are %v", helper, warnings)
		}
	}
}

// A service without the privilege asks systemd, and a module that is absent afterwards is warned about.
func TestLoadTranslatorsAsService(t *testing.T) {
	fakeModprobe(t, 1)
	t.Setenv("INVOCATION_ID", "6d4dd1ea")
	for _, status := range []int{0, 1} {
		calls := fake(t, "systemctl", status)
		known := map[string]module{"ftp": {"farmc_no_such_module", "farmc_no_such_symbol"}}
		warnings := loadTranslators(t.Context(), known, []*farm.Farm{{Name: "a", Helper: "ftp"}})
		got, err := os.ReadFile(calls)
		if want := "--quiet start modprobe@farmc_no_such_module.service\n"; err != nil || string(got) != want {
			t.Errorf("systemctl was called with %q, want %q; %v", got, want, err)
		}
		if len(warnings) != 1 {
			t.Errorf("systemctl exits with %d: warnings are %v", status, warnings)
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
