package compilertest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// A Kernel is a shell in a network namespace of its own, where nft can load any script.
type Kernel struct {
	T      testing.TB
	file   string // for scripts
	input  io.Writer
	output *bufio.Reader
	lacks  []string // words of scripts that this kernel was built without

	devices map[string]bool // the network interfaces that were made
}

// NewKernel makes a namespace that lasts as long as the test. Where none can be had the test is skipped, or fails if
// the environment says CI. With -short the test is skipped.
func NewKernel(t testing.TB) *Kernel {
	t.Helper()
	if testing.Short() {
		t.Skip("loads into the kernel take too long for -short; make test-slow runs them")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		unavailable(t, err)
	}
	shell := exec.Command("sh")
	shell.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if uid := os.Getuid(); uid != 0 {
		shell.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		shell.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		shell.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	input, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		unavailable(t, fmt.Errorf("no network namespace: %w", err))
	}
	t.Cleanup(func() {
		input.Close()
		shell.Wait()
	})
	k := &Kernel{
		T:       t,
		devices: map[string]bool{},
		file:    filepath.Join(t.TempDir(), "script.nft"),
		input:   input,
		output:  bufio.NewReader(output),
	}
	if said, ok := k.Run("nft list tables"); !ok || said != "" {
		unavailable(t, fmt.Errorf("nft in a new network namespace says: %s", said))
	}
	for word, probe := range map[string]string{
		"flowtable": "flowtable probe {\n\t\thook ingress priority filter\n\t}",
		"queue":     "chain probe {\n\t\tqueue to 0\n\t}",
	} {
		if _, ok := k.load([]byte("table inet probe {\n\t" + probe + "\n}\ndelete table inet probe\n")); !ok {
			k.lacks = append(k.lacks, word)
		}
	}
	return k
}

func unavailable(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// end stands after the output of a command, with its exit status.
const end = "-- end "

// Run gives the output of a command, and whether it succeeded.
func (k *Kernel) Run(command string) (string, bool) {
	k.T.Helper()
	fmt.Fprintf(k.input, "{ %s; } 2>&1 </dev/null; printf '\\n%s%%s\\n' $?\n", command, end)
	var said strings.Builder
	for {
		line, err := k.output.ReadString('\n')
		if err != nil {
			k.T.Fatal(err, said.String())
		}
		if status, ended := strings.CutPrefix(line, end); ended {
			return strings.TrimSuffix(said.String(), "\n"), status == "0\n"
		}
		said.WriteString(line)
	}
}

// Must runs a command that has to succeed.
func (k *Kernel) Must(what, command string) string {
	k.T.Helper()
	said, ok := k.Run(command)
	if !ok {
		k.T.Fatalf("%s: %s", what, said)
	}
	return said
}

// load gives nft a script, and returns nft's complaints.
func (k *Kernel) load(script []byte) (string, bool) {
	k.T.Helper()
	if err := os.WriteFile(k.file, script, 0o600); err != nil {
		k.T.Fatal(err)
	}
	return k.Run("nft -f " + k.file)
}

// MustLoad gives nft a script that it has to take without a word. To a plain user the kernel lends no buffer that is
// large enough for a long one: it says so, and the script stays untried.
func (k *Kernel) MustLoad(what string, script []byte) bool {
	k.T.Helper()
	for _, word := range k.lacks {
		if strings.Contains(string(script), "\t"+word+" ") {
			k.T.Logf("%s: this kernel has no %s", what, word)
			return false
		}
	}
	k.makeDevices(script)
	said, ok := k.load(script)
	if !ok && os.Getuid() != 0 && strings.Contains(said, "Message too long") {
		k.T.Logf("%s: %d bytes are too long for a plain user", what, len(script))
		return false
	}
	if !ok || said != "" {
		k.T.Fatalf("%s: nft says:\n%s\nof:\n%s", what, firstLines(said, 20), firstLines(string(script), 200))
	}
	return true
}

// namesDevices are the lines that name network interfaces, which have to be there when nft loads them.
var namesDevices = regexp.MustCompile(`\bdevices? (?:= { )?("[^"]+"(?:, "[^"]+")*)|fwd to ("[^"]+")`)

func (k *Kernel) makeDevices(script []byte) {
	k.T.Helper()
	for _, line := range namesDevices.FindAllSubmatch(script, -1) {
		for _, quoted := range strings.Split(string(line[1])+string(line[2]), ", ") {
			name := strings.Trim(quoted, `"`)
			if !k.devices[name] {
				k.Must("interface "+name, "ip link add "+name+" type veth")
				k.devices[name] = true
			}
		}
	}
}

func firstLines(text string, n int) string {
	lines := strings.SplitAfterN(text, "\n", n+1)
	if len(lines) > n {
		lines[n] = "...\n"
	}
	return strings.Join(lines, "")
}
