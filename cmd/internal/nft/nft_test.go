package nft

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain runs the tests in a network namespace of their own, as root or as a user who is root there.
func TestMain(m *testing.M) {
	if os.Getenv("FARMC_TEST_NAMESPACE") != "" {
		os.Exit(m.Run())
	}
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		attr = sysProcAttr(isolated)
		attr.Setpgid = false
	}
	cmd := testBinary(attr, os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err := cmd.Run()
	if cmd.Process == nil && os.Getenv("CI") == "" {
		fmt.Println("skipped: no namespace here:", err)
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// testBinary is a command that runs this test binary. It uses /proc/self/exe because other users may have no access to
// the directory of the binary.
func testBinary(attr *syscall.SysProcAttr, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), "FARMC_TEST_NAMESPACE=1")
	cmd.SysProcAttr = attr
	return cmd
}

// realNft gives the nft of this machine, with an empty ruleset, and tells whether its messages are the recorded ones.
func realNft(t *testing.T) (nft Nft, recorded bool) {
	t.Helper()
	version, err := nft.Version(t.Context())
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("no nft here:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	load(t, nft, []byte("flush ruleset\n")) // nft's suggestions depend on the ruleset
	return nft, version == "1.0.6"
}

// fakeNft is a shell script in the place of nft.
func fakeNft(t *testing.T, script string) Nft {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nft")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return Nft{Path: path}
}

// recordedNft reads its script, prints the recorded standard error, and ends with the recorded command.
func recordedNft(t *testing.T, stderr, end string) Nft {
	return fakeNft(t, "cat >/dev/null\ncat >&2 <<'HEARD'\n"+stderr+"HEARD\n"+end+"\n")
}

// A refusalCase is a script with a fault, the standard error of nft 1.0.6, and the complaints in it.
type refusalCase struct {
	name   string
	script string
	stderr string
	want   []string
}

var refusals = []refusalCase{
	{
		name:   "statement",
		script: "table inet t {\n\tchain c {\n\t\tbogus tcp\n\t}\n}\n",
		stderr: "/dev/stdin:3:3-7: Error: No symbol type information\n\t\tbogus tcp\n\t\t^^^^^\n",
		want:   []string{"3:3-7 No symbol type information"},
	}, {
		name:   "several",
		script: "table inet t {\n\tchain c {\n\t\tbogus tcp\n\t}\n\tchain d {\n\t\tfoo bar\n\t}\n}\n",
		stderr: "/dev/stdin:3:3-7: Error: No symbol type information\n\t\tbogus tcp\n\t\t^^^^^\n" +
			"/dev/stdin:6:3-5: Error: No symbol type information\n\t\tfoo bar\n\t\t^^^\n",
		want: []string{"3:3-7 No symbol type information", "6:3-5 No symbol type information"},
	}, {
		name:   "quarrel-of-two",
		script: "table inet t {\n\tset m { type ipv4_addr; flags interval; elements = { 1.1.1.0/24, 1.1.1.1 } }\n}\n",
		stderr: "/dev/stdin:2:67-73: Error: conflicting intervals specified\n" +
			"\tset m { type ipv4_addr; flags interval; elements = { 1.1.1.0/24, 1.1.1.1 } }\n" +
			"\t                                                     ~~~~~~~~~~  ^^^^^^^\n",
		want: []string{"2:67-73 conflicting intervals specified"},
	}, {
		name:   "suggestion",
		script: "table inet t {\n\tset nopi { type ipv4_addr; }\n\tchain c {\n\t\tip saddr @nope accept\n\t}\n}\n",
		stderr: "/dev/stdin:4:12-16: Error: No such file or directory; did you mean set ‘nopi’ in table inet ‘t’?\n" +
			"\t\tip saddr @nope accept\n\t\t         ^^^^^\n",
		want: []string{"4:12-16 No such file or directory; did you mean set ‘nopi’ in table inet ‘t’?"},
	}, {
		name:   "kernel",
		script: "table inet t {\n\tchain c {\n\t\tgoto nowhere\n\t}\n}\n",
		stderr: "/dev/stdin:3:8-14: Error: Could not process rule: No such file or directory\n" +
			"\t\tgoto nowhere\n\t\t     ^^^^^^^\n",
		want: []string{"3:8-14 Could not process rule: No such file or directory"},
	}, {
		name:   "end-of-script",
		script: "table inet t {\n",
		stderr: "/dev/stdin:2:1-1: Error: syntax error, unexpected end of file\ntable inet t {\n^\n",
		want:   []string{"2:1-1 syntax error, unexpected end of file"},
	}, {
		name:   "excerpt-like-a-complaint",
		script: "/dev/stdin:9:9-9: Error: not nft's words\n",
		stderr: "/dev/stdin:1:1-1: Error: syntax error, unexpected /\n/dev/stdin:9:9-9: Error: not nft's words\n^\n",
		want:   []string{"1:1-1 syntax error, unexpected /"},
	},
}

func TestRefusals(t *testing.T) {
	nft, recorded := realNft(t)
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			for _, err := range []error{nft.Check(t.Context(), []byte(c.script)),
				nft.Load(t.Context(), []byte(c.script))} {
				var r *Refusal
				if !errors.As(err, &r) {
					t.Fatal("want a refusal, got", err)
				}
				if recorded && r.Output != c.stderr {
					t.Errorf("nft prints\n%s\nwant\n%s", r.Output, c.stderr)
				}
			}
			err := recordedNft(t, c.stderr, "exit 1").Check(t.Context(), []byte(c.script))
			if got := complaintsOf(err); !slices.Equal(got, c.want) {
				t.Errorf("complaints %q, want %q", got, c.want)
			}
		})
	}
}

// complaintsOf gives place and message of each complaint.
func complaintsOf(err error) []string {
	var r *Refusal
	if !errors.As(err, &r) {
		return []string{fmt.Sprint(err)}
	}
	var complaintsOf []string
	for _, c := range r.Complaints {
		complaintsOf = append(complaintsOf, fmt.Sprintf("%d:%d-%d %s", c.Line, c.Column, c.EndColumn, c.Message))
	}
	return complaintsOf
}

// Complaints that no script causes reliably are parsed from recorded output.
func TestRareComplaints(t *testing.T) {
	for _, c := range []refusalCase{
		{name: "columns-of-two-lines", stderr: "/dev/stdin:17:27-3: Error: x\na\n  ^\n", want: []string{"17:27-3 x"}},
		{name: "no-statement", stderr: "netlink: Error: cache initialization failed: No buffer space available\n",
			want: []string{"0:0-0 cache initialization failed: No buffer space available"}},
		{name: "no-place", stderr: "internal:0:0-0: Error: x\n", want: []string{"0:0-0 x"}},
		{name: "included-file",
			stderr: "In file included from /dev/stdin:1:1-27:\n/tmp/inc.nft:1:10-10: Error: x\nbogus foo\n         ^\n",
			want:   []string{"0:0-0 x"}},
		{name: "chatter", stderr: "mumble\n", want: nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := recordedNft(t, c.stderr, "exit 1").Load(t.Context(), nil)
			if got := complaintsOf(err); !slices.Equal(got, c.want) {
				t.Errorf("understood %q, want %q", got, c.want)
			}
		})
	}
}

func TestComplaintShowsTheLine(t *testing.T) {
	nft := recordedNft(t, "/dev/stdin:4:12-16: Warning: x\n\t\tip saddr @nope\n\t\t         ^^^^^\nrest\n", "exit 1")
	var r *Refusal
	if err := nft.Check(t.Context(), nil); !errors.As(err, &r) {
		t.Fatal(err)
	}
	want := Complaint{4, 12, 16, true, "x", "\t\tip saddr @nope\n\t\t         ^^^^^"}
	if len(r.Complaints) != 1 || r.Complaints[0] != want || !strings.HasSuffix(r.Output, "rest\n") {
		t.Errorf("%+v", r)
	}
}

func load(t *testing.T, nft Nft, script []byte) {
	t.Helper()
	if err := nft.Load(t.Context(), script); err != nil {
		t.Fatal(err)
	}
}

func TestLoad(t *testing.T) {
	nft, _ := realNft(t)
	script := slices.Concat([]byte("table inet farmc { }\ndelete table inet farmc\n"),
		rulesWithComment("farmc sha256:"+digest))
	for range 2 {
		for _, err := range []error{nft.Check(t.Context(), script), nft.Load(t.Context(), script)} {
			if err != nil {
				t.Error(err)
			}
		}
	}
}

func TestCheckChangesNothing(t *testing.T) {
	nft, _ := realNft(t)
	if nft.ChecksIsolated() {
		t.Error("checks isolated")
	}
	if err := nft.Check(t.Context(), rulesWithComment("farmc sha256:"+digest)); err != nil {
		t.Fatal(err)
	}
	if got, err := nft.Loaded(t.Context()); got != "" || err != nil {
		t.Error(got, err)
	}
}
