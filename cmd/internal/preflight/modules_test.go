package preflight

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farmc/compiler"
)

// TestLoadTranslators: for each helper of the farms that are served there is one look at the kernel and, if it has not
// what translates addresses, one modprobe; people are told where that fails.
func TestLoadTranslators(t *testing.T) {
	t.Setenv("INVOCATION_ID", "") // no service
	record := fakeModprobe(t, 1)
	known := map[string]translator{
		"ftp":  {"farmc_no_such_module", "farmc_no_such_symbol"},
		"sip":  {"farmc_nor_this", "farmc_nor_this"},
		"tftp": {"farmc_built_in", "vfs_read"}, // modprobe knows nothing of it, but there it is
	}
	told := loadTranslators(t.Context(), known, []*compiler.Farm{
		{Name: "a", Helper: "ftp"}, {Name: "b", Helper: "ftp"}, {Name: "c", Helper: "sip", Down: true}, {Name: "d"}, {Name: "e", Helper: "tftp"},
	})
	tried, err := os.ReadFile(record)
	if want := "-q farmc_no_such_module\n-q farmc_built_in\n"; err != nil || string(tried) != want {
		t.Errorf("modprobe was asked for %q, want %q; %v", tried, want, err)
	}
	if len(told) != 1 || told[0].Farm != "a" || told.Faulty() || !strings.Contains(told[0].Message, "ftp connections, as it lacks the module farmc_no_such_module") {
		t.Errorf("told is %v", told)
	}
}

// TestLoadTranslatorsInSilence: where modprobe finds what is missing, nobody is told.
func TestLoadTranslatorsInSilence(t *testing.T) {
	fakeModprobe(t, 0)
	for helper := range translators {
		if told := loadTranslators(t.Context(), translators, []*compiler.Farm{{Name: "a", Helper: helper}}); len(told) != 0 {
			t.Errorf("%s: told is %v", helper, told)
		}
	}
}

// TestLoadTranslatorsAsService: a service that may not load modules has systemd do it; what isn't there then is told.
func TestLoadTranslatorsAsService(t *testing.T) {
	fakeModprobe(t, 1)
	t.Setenv("INVOCATION_ID", "6d4dd1ea")
	for _, status := range []int{0, 1} {
		record := fake(t, "systemctl", status)
		known := map[string]translator{"ftp": {"farmc_no_such_module", "farmc_no_such_symbol"}}
		told := loadTranslators(t.Context(), known, []*compiler.Farm{{Name: "a", Helper: "ftp"}})
		tried, err := os.ReadFile(record)
		if want := "--quiet start modprobe@farmc_no_such_module.service\n"; err != nil || string(tried) != want {
			t.Errorf("systemctl was asked for %q, want %q; %v", tried, want, err)
		}
		if len(told) != 1 {
			t.Errorf("systemctl ends with %d: told is %v", status, told)
		}
	}
}

func fakeModprobe(t *testing.T, status int) (record string) { return fake(t, "modprobe", status) }

// fake stands before the machine's own program, writes down what it is asked for, and exits.
func fake(t *testing.T, program string, status int) (record string) {
	dir := t.TempDir()
	record = filepath.Join(dir, "record")
	script := "#!/bin/sh\necho \"$@\" >> " + record + "\nexit " + string(rune('0'+status)) + "\n"
	if err := os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return record
}
