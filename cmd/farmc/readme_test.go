package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

// A step of the README: a file that it shows, commands that print nothing, or a command and its output on both streams.
type step struct {
	file            string // where text goes
	text            string
	command, output string
}

// Blocks of the README that a reader follows are toml with a first line "# /path/of/the/file", sh, and console.
// Blocks without a language are for other machines, and not run.
var readmeBlock = regexp.MustCompile("(?ms)^```(toml|sh|console)\n(.*?)^```$")

func readmeSteps(text string) (steps []step) {
	for _, block := range readmeBlock.FindAllStringSubmatch(text, -1) {
		switch block[1] {
		case "toml":
			name, _, _ := strings.Cut(strings.TrimPrefix(block[2], "# "), "\n")
			steps = append(steps, step{file: name, text: block[2]})
		case "sh":
			steps = append(steps, step{command: block[2]})
		case "console":
			steps = append(steps, consoleSteps(block[2])...)
		}
	}
	return steps
}

func consoleSteps(block string) (steps []step) {
	for line := range strings.Lines(block) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			steps = append(steps, step{command: command})
			continue
		}
		steps[len(steps)-1].output += line
	}
	return steps
}

// The transcript that the README links to is the output of the demo, except for numbers.
func TestReadmeDemo(t *testing.T) {
	skipShort(t)
	netlab.Test(t, netlab.Options{}).Close()
	transcript, err := os.ReadFile("../internal/demo/demo.txt")
	if err != nil {
		t.Fatal(err)
	}
	farmc := filepath.Join(t.TempDir(), "farmc")
	for _, cmd := range []*exec.Cmd{
		exec.Command("go", "build", "-o", farmc, "."),
		exec.Command(farmc, "demo"),
	} {
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		got, want := strings.TrimSpace(string(out)), strings.TrimSpace(string(transcript))
		if got != "" && numberless(got) != numberless(want) {
			t.Errorf("the demo prints\n%s\ncmd/internal/demo/demo.txt says\n%s", got, transcript)
		}
	}
}

var counted = regexp.MustCompile(` *[0-9]+`)

// numberless removes the numbers that differ between runs of the demo: shares of backends and durations.
func numberless(output string) string { return counted.ReplaceAllString(timeless(output), "N") }

var durations = regexp.MustCompile(`[0-9.]+(ms|µs|s)\b`)

// timeless removes durations, and log lines about steps that take long.
func timeless(output string) string {
	return durations.ReplaceAllString(slowly.ReplaceAllString(output, ""), "T")
}

var slowly = regexp.MustCompile(`(?m)^( +farmc: )?nft [a-z ]+ \(\d+ lines\) \.\.\.\n`)

// Following the README from top to bottom, on a machine of its own, a reader sees the output that it shows.
func TestReadmeCommands(t *testing.T) {
	followPage(t, "../../README.md", "curl", "python3", "ip", "sysctl")
}

// The same for the examples of farmc-api(7).
func TestCommandsOfTheAPI(t *testing.T) {
	followPage(t, "../manual/farmc-api.7.md", "curl", "ip", "jq", "sysctl")
}

// followPage runs the steps of a page, which need the programs, and compares the outputs.
func followPage(t *testing.T, page string, programs ...string) {
	t.Helper()
	skipShort(t)
	for _, program := range programs {
		needProgram(t, program)
	}
	bin := t.TempDir()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(bin, "farmc")) // TestMain is farmc under this name
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	steps := readmeSteps(string(text))
	if len(steps) == 0 {
		t.Fatalf("%s has no steps", page)
	}
	for i, got := range follow(t, bin, steps) {
		if s := steps[i]; timeless(got) != timeless(s.output) {
			t.Errorf("$ %sprints\n%s\nthe page says\n%s", s.command, got, s.output)
		}
	}
}

func needProgram(t *testing.T, name string) {
	t.Helper()
	_, err := exec.LookPath(name)
	switch {
	case err != nil && os.Getenv("CI") == "":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}

// follow runs the steps in one shell, in a network and mounts of its own: no farm, no address, no forwarding. It gives
// the output of each step.
func follow(t *testing.T, bin string, steps []step) (outputs []string) {
	t.Helper()
	needMachine(t)
	const separator = "----- next step -----\n"
	script := "exec 2>&1; export LC_ALL=C.UTF-8 PATH=" + bin + ":$PATH; unset STATE_DIRECTORY\n" +
		"mount -t proc proc /proc\n" + // with the numbers of processes that ip netns pids prints
		"for dir in /etc /run /var/lib; do mount -t tmpfs -o size=4m,mode=755 tmpfs $dir; done\n" +
		"mkdir -p /etc/farmc/farms.d /etc/sysctl.d /run/farmc/farms.d\n" +
		"ip link set lo up; sysctl -qw net.ipv4.ip_forward=0\n"
	for _, s := range steps {
		script += "echo '" + strings.TrimSpace(separator) + "'\n"
		if s.file != "" {
			script += "cat > " + s.file + " <<'END OF FILE'\n" + s.text + "END OF FILE\n"
			continue
		}
		script += s.command + "\n"
		if strings.Contains(s.command, "&\n") {
			script += "sleep 2\n" // until the servers listen
		}
	}
	script += "jobs -p | xargs -r kill 2>/dev/null || :\n" // unless the steps did, or a job is about to end
	namespaces := []string{"--net", "--mount", "--pid", "--fork", "--kill-child"}
	shell := exec.Command("unshare", append(namespaces, "bash", "-c", script)...)
	shell.Dir = t.TempDir() // for files of the steps
	out, err := shell.Output()
	if err != nil {
		t.Logf("the shell ended with %v", err)
	}
	outputs = strings.Split(string(out), separator)[1:]
	if len(outputs) != len(steps) {
		t.Fatalf("%d of %d steps were done:\n%s", len(outputs), len(steps), out)
	}
	return outputs
}

// The README stays one reading long, and leads nowhere that does not exist.
func TestReadmeLinks(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(readme), "\n"); lines > 200 {
		t.Errorf("the README has %d lines, more than 200", lines)
	}
	links := regexp.MustCompile(`\]\(([^):]+)\)`).FindAllStringSubmatch(string(readme), -1)
	if len(links) < 5 {
		t.Errorf("the README has %d links", len(links))
	}
	for _, at := range links {
		if _, err := os.Stat(filepath.Join("../..", at[1])); err != nil {
			t.Error(err)
		}
	}
}

// The output of status in the manual is the one that the scenario status expects, except for times.
func TestManualStatus(t *testing.T) {
	manual, err := os.ReadFile("../manual/farmc.1.md")
	if err != nil {
		t.Fatal(err)
	}
	scenario, err := os.ReadFile("testdata/script/status.txtar")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`).ReplaceAllString(string(manual), "TIME")
	for _, name := range []string{"shown", "full"} {
		_, output, found := strings.Cut(string(scenario), "\n-- "+name+" --\n")
		output, _, _ = strings.Cut(output, "\n-- ")
		if output = strings.TrimSuffix(output, "\n") + "\n"; !found || !strings.Contains(text, "```\n"+output+"```\n") {
			t.Errorf("farmc(1) lacks the output %s:\n%s", name, output)
		}
	}
}
