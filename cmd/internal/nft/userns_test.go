package nft

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// runAs runs one test of this binary with the attributes, and reports its output if it fails.
func runAs(t *testing.T, test string, attr *syscall.SysProcAttr) {
	t.Helper()
	cmd := testBinary(attr, "-test.v", "-test.run=^"+test+"$")
	cmd.Env, cmd.Dir = append(cmd.Env, "FARMC_TEST_ONLY="+test), "/"
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+test) {
		t.Errorf("%v\n%s", err, out)
	}
}

// onlyWithin skips a test that is to be run by runAs.
func onlyWithin(t *testing.T) {
	if os.Getenv("FARMC_TEST_ONLY") != t.Name() {
		t.Skip("run by another test, as another user")
	}
}

// nobody is an unprivileged user.
var nobody = &syscall.Credential{Uid: 65534, Gid: 65534}

func needRoot(t *testing.T) {
	t.Helper()
	if users, _ := os.ReadFile("/proc/self/uid_map"); !strings.Contains(string(users), "4294967295") {
		t.Skip("needs root, to become another user")
	}
}

func TestPlainUser(t *testing.T) {
	realNft(t)
	needRoot(t)
	runAs(t, "TestAsPlainUser", &syscall.SysProcAttr{Credential: nobody})
}

func TestAsPlainUser(t *testing.T) {
	onlyWithin(t)
	var nft Nft
	const flowtable = "\tflowtable f {\n\t\thook ingress priority 0\n\t\tdevices = { nosuch0 }\n\t}\n" +
		"\tchain c {\n\t\tflow add @f\n\t}\n"
	check := func(script string) error { return nft.Check(t.Context(), []byte(script)) }

	if !nft.ChecksIsolated() {
		t.Error("checks in the machine's network namespace")
	}
	if err := check("table inet t { }\n"); err != nil {
		t.Error("accepted:", err)
	}
	for _, c := range refusals {
		var r *Refusal
		if err := check(c.script); !errors.As(err, &r) || len(r.Complaints) != len(c.want) {
			t.Error(c.name, err)
		}
	}
	if err := check(longScript()); !errors.Is(err, ErrCannotAsk) || !errors.Is(err, ErrTooLong) {
		t.Error("too long:", err)
	}
	if err := check("table inet t {\n" + flowtable + "}\n"); !errors.Is(err, ErrCannotAsk) {
		t.Error("a device that isn't there:", err)
	}
	const twice = "\tmap m {\n\t\ttype ipv4_addr : verdict\n" +
		"\t\telements = { 10.0.0.1 : accept, 10.0.0.1 : drop }\n\t}\n"
	if got := complaintsOf(check("table inet t {\n" + twice + flowtable + "}\n")); len(got) != 1 ||
		!strings.HasSuffix(got[0], "File exists") {
		t.Error("a device, and a fault:", got)
	}
	if err := nft.Load(t.Context(), []byte("table inet t { }\n")); !errors.Is(err, ErrNotPermitted) {
		t.Error("load:", err)
	}
	if _, err := nft.Loaded(t.Context()); !errors.Is(err, ErrNotPermitted) {
		t.Error("loaded:", err)
	}
	if _, err := nft.IngressDevices(t.Context()); !errors.Is(err, ErrNotPermitted) {
		t.Error("chains:", err)
	}
}

// longScript is a script of a megabyte.
func longScript() string {
	var s strings.Builder
	s.WriteString("table inet t {\n\tset s {\n\t\ttype ipv4_addr\n\t\telements = {\n")
	for i := range 50_000 {
		fmt.Fprintf(&s, "\t\t\t10.0.%d.%d,\n", i/256, i%256)
	}
	s.WriteString("\t\t}\n\t}\n}\n")
	return s.String()
}

// The user has CAP_NET_ADMIN by a file capability or a service manager, which children do not inherit.
func TestCapableUser(t *testing.T) {
	realNft(t)
	needRoot(t)
	runAs(t, "TestAsCapableUser", &syscall.SysProcAttr{Credential: nobody, AmbientCaps: []uintptr{unix.CAP_NET_ADMIN}})
}

func TestAsCapableUser(t *testing.T) {
	onlyWithin(t)
	runtime.LockOSThread() // ambient capabilities belong to the thread that starts nft
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	var nft Nft
	if err := nft.Check(t.Context(), []byte(longScript())); err != nil {
		t.Error("checked without the capability:", err)
	}
	load(t, nft, rulesWithComment("farmc sha256:"+digest))
	if got, err := nft.Loaded(t.Context()); got != digest || err != nil {
		t.Error(got, err)
	}
}

// The process is root of a user namespace that does not own the network, and may not create namespaces.
func TestNamespacesForbidden(t *testing.T) {
	var attrs unix.Statfs_t
	if err := unix.Statfs("/proc/sys/user", &attrs); err == nil && attrs.Flags&unix.ST_RDONLY != 0 {
		t.Skip("they can't be forbidden in this container")
	}
	realNft(t)
	attr := sysProcAttr(isolated)
	attr.Cloneflags = unix.CLONE_NEWUSER
	runAs(t, "TestWithNamespacesForbidden", attr)
}

func TestWithNamespacesForbidden(t *testing.T) {
	onlyWithin(t)
	if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	err := Nft{}.Check(t.Context(), []byte("table inet t { }\n"))
	if !errors.Is(err, ErrCannotAsk) || !errors.Is(err, errNoNamespace) {
		t.Error(err)
	}
	t.Log(err)
}
