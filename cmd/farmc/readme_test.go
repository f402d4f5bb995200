package main

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

// A step of a console block of the README: a command, and what it prints on both streams.
type step struct {
	command, output string
}

func consoleSteps(t *testing.T, text string) []step {
	t.Helper()
	var steps []step
	for _, block := range regexp.MustCompile("(?ms)^```console\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(block[1]) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				steps = append(steps, step{command: strings.TrimSpace(command)})
				continue
			}
			steps[len(steps)-1].output += line
		}
	}
	return steps
}

// The README shows what the demo prints, but for numbers.
func TestReadmeDemo(t *testing.T) {
	netlab.Test(t, netlab.Options{}).Close()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^```demo\n(.*?)^```$").FindSubmatch(readme)
	farmc := filepath.Join(t.TempDir(), "farmc")
	for _, cmd := range []*exec.Cmd{exec.Command("go", "build", "-o", farmc, "."), exec.Command("go", "run", "../demo", farmc, "../../farms.d")} {
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if got := strings.TrimSpace(string(out)); got != "" && numberless(got) != numberless(strings.TrimSpace(string(block[1]))) {
			t.Errorf("the demo prints\n%s\nthe README says\n%s", got, block[1])
		}
	}
}

var counted = regexp.MustCompile(` *[0-9]+`)

// numberless takes out what differs from run to run of the demo: who answered how often, and how long it took.
func numberless(output string) string { return counted.ReplaceAllString(timeless(output), "N") }

var durations = regexp.MustCompile(`[0-9.]+(ms|µs|s)\b`)

// timeless takes out what differs from run to run: how long it took, and that something takes long.
func timeless(output string) string {
	return durations.ReplaceAllString(slowly.ReplaceAllString(output, ""), "T")
}

var slowly = regexp.MustCompile(`(?m)^( +farmc: )?nft [a-z ]+ \(\d+ lines\) \.\.\.\n`)

// The README's commands print what it says that they print.
func TestReadmeCommands(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{})
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "bin", "farmc"), ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.CopyFS(filepath.Join(dir, "farms.d"), os.DirFS("../../farms.d")); err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"192.0.2.10/32", "192.0.2.11/32", "192.0.2.12/32", "192.0.2.99/32", "2001:db8::10/128"} {
		if err := lab.Balancer.AddAddress("lo", netip.MustParsePrefix(a)); err != nil {
			t.Fatal(err)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	setting := "cd " + dir + "; export STATE_DIRECTORY=" + dir + "/state PATH=" + dir + "/bin:$PATH; exec 2>&1; "
	for _, s := range consoleSteps(t, string(readme)) {
		got, _ := lab.Balancer.Run(context.Background(), "", "sh", "-c", setting+s.command)
		if timeless(got) != timeless(s.output) {
			t.Errorf("$ %s\n%s\nthe README says\n%s", s.command, got, s.output)
		}
	}
}
