package live

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/source"
	"farmc/cmd/internal/testmachine"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// untrustedFarm is a farm that root must not load.
var untrustedFarm = strings.ReplaceAll(plain, "10.0.0.1", "10.0.0.66")

// needRoot skips a test of permissions, which only root checks.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root checks permissions")
	}
}

// inMounts runs the test again in a mount namespace, and reports whether this is that run.
func inMounts(t *testing.T) bool {
	t.Helper()
	const variable = "FARMC_TEST_MOUNTS"
	if os.Getenv(variable) != "" {
		testmachine.Must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), variable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if cmd.Process == nil && os.Getenv("CI") == "" {
		t.Skip("no mount namespace here:", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// A service with ProtectSystem=strict sees all of /etc read-only, and still every user may be able to write to it.
func TestReadOnlyMountIsChecked(t *testing.T) {
	needRoot(t)
	if !inMounts(t) {
		return
	}
	for name, spoil := range map[string]func(farms string) error{
		"every user":      func(farms string) error { return os.Chmod(farms, 0o777) },
		"the user":        func(farms string) error { return os.Chown(farms+"/web.toml", 65534, 0) },
		"the user nobody": func(farms string) error { return os.Chown(farms, 65534, 0) },
	} {
		farms := t.TempDir()
		testmachine.Write(t, farms, map[string]string{"web.toml": plain})
		testmachine.Must(t, spoil(farms),
			unix.Mount(farms, farms, "", unix.MS_BIND, ""),
			unix.Mount("", farms, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
		if err := os.WriteFile(farms+"/x", nil, 0o644); !errors.Is(err, unix.EROFS) {
			t.Fatalf("the mount is not read-only: %v", err)
		}
		e := &Engine{Dirs: []farm.Dir{Dir(farms)}}
		if c := e.compile(); !c.diagnostics.Faulty() || !strings.HasPrefix(c.diagnostics[0].Message, name) {
			t.Errorf("%s may write to it: %v", name, c.diagnostics)
		}
		testmachine.Must(t, unix.Unmount(farms, unix.MNT_DETACH))
	}
}

// The group bits of the mode are the bound of an access control list, for files and for directories on the way.
func TestAccessControlList(t *testing.T) {
	needRoot(t)
	list := "\x02\x00\x00\x00" + // version 2, then each entry's tag, permissions and id
		"\x01\x00\x07\x00\xff\xff\xff\xff" + "\x02\x00\x07\x00\xfe\xff\x00\x00" + // owner, user 65534
		"\x04\x00\x05\x00\xff\xff\xff\xff" + "\x10\x00\x07\x00\xff\xff\xff\xff" + "\x20\x00\x05\x00\xff\xff\xff\xff"
	for _, name := range []string{"", "farms.d", "farms.d/web.toml"} {
		root := t.TempDir()
		testmachine.Write(t, root, map[string]string{"farms.d/web.toml": plain})
		at := filepath.Join(root, name)
		if err := unix.Setxattr(at, "system.posix_acl_access", []byte(list), 0); errors.Is(err, unix.EOPNOTSUPP) {
			t.Skip("no access control lists on the file system of the temporary directory")
		} else if err != nil {
			t.Fatal(err)
		}
		e := &Engine{Dirs: []farm.Dir{Dir(filepath.Join(root, "farms.d"))}}
		hint := "setfacl -b " + at + " # or --insecure-permissions"
		if c := e.compile(); len(c.diagnostics) != 1 || c.diagnostics[0].Hint != hint {
			t.Errorf("user 65534 may write to %q: %v", name, c.diagnostics)
		}
	}
}

// A user who can write to a directory on the way can redirect it, even if only a link is in it.
func TestEachDirectoryOnTheWayIsChecked(t *testing.T) {
	needRoot(t)
	for _, c := range []struct {
		name  string
		links map[string]string
		dir   string // of farms
	}{
		{"a link to a file", map[string]string{
			"farms.d/web.toml": "../user/cur", "user/cur": "../root/web.toml"}, "farms.d"},
		{"an absolute link", map[string]string{
			"farms.d/web.toml": "ROOT/user/cur", "user/cur": "ROOT/root/web.toml"}, "farms.d"},
		{"a link to a directory in the middle", map[string]string{
			"farms.d/web.toml": "../user/cur/web.toml", "user/cur": "../root"}, "farms.d"},
		{"a link to a link", map[string]string{
			"farms.d/web.toml": "../root/1", "root/1": "../user/2", "user/2": "../root/web.toml"}, "farms.d"},
		{"the directory of farms", map[string]string{
			"user/cur": "../root"}, "user/cur"},
		{"drop-ins", map[string]string{
			"root/web.toml.d": "../user/cur", "user/cur": "../drop-ins"}, "root"},
		{"a drop-in", map[string]string{
			"root/web.toml.d": "../drop-ins", "drop-ins/y.toml": "../user/cur",
			"user/cur": "../drop-ins/x.toml"}, "root"},
		{"a list", map[string]string{
			"root/bad.list": "../user/cur", "user/cur": "../drop-ins/a.list"}, "root"},
	} {
		root := t.TempDir()
		testmachine.Write(t, root, map[string]string{"root/web.toml": plain,
			"drop-ins/x.toml": "[backends.b1]\nweight = 2", "drop-ins/a.list": "198.51.100.0/24"})
		for link, to := range c.links {
			at := filepath.Join(root, link)
			testmachine.Must(t, os.MkdirAll(filepath.Dir(at), 0o755),
				os.Symlink(strings.ReplaceAll(to, "ROOT", root), at))
		}
		e := &Engine{Dirs: []farm.Dir{Dir(filepath.Join(root, c.dir))}}
		if got := e.compile(); got.diagnostics.Faulty() {
			t.Errorf("%s: is refused: %v", c.name, got.diagnostics)
		}
		user := filepath.Join(root, "user")
		testmachine.Must(t, os.Chmod(user, 0o777))
		diagnostics, hint := e.compile().diagnostics, "chmod o-w "+user+" # or --insecure-permissions"
		if len(diagnostics) != 1 || diagnostics[0].Place.File != user || diagnostics[0].Hint != hint {
			t.Errorf("%s: user is writable: %v", c.name, diagnostics)
		}
	}
}

// An attacker switches the target of a link in a directory of their own. Every compilation reports a fault.
func TestSwappedLinkIsNeverLoaded(t *testing.T) {
	needRoot(t)
	root := t.TempDir()
	testmachine.Write(t, root, map[string]string{
		"root/web.toml": plain, "user/evil.toml": untrustedFarm, "farms.d/x": ""})
	cur := filepath.Join(root, "user/cur")
	testmachine.Must(t, os.Chmod(filepath.Join(root, "user"), 0o777),
		os.Symlink("../user/cur", filepath.Join(root, "farms.d/web.toml")),
		os.Symlink("../root/web.toml", cur))
	var stop atomic.Bool
	var swaps sync.WaitGroup
	swaps.Go(func() {
		for !stop.Load() {
			err := errors.Join(testmachine.Replace(cur, "evil.toml"), testmachine.Replace(cur, "../root/web.toml"))
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer swaps.Wait()
	defer stop.Store(true)
	e := &Engine{Dirs: []farm.Dir{Dir(filepath.Join(root, "farms.d"))}}
	attacks := 0
	for range 300 {
		c := e.compile()
		if c.script != nil && strings.Contains(string(c.script.Text), "10.0.0.66") {
			attacks++
		}
		if !c.diagnostics.Faulty() {
			t.Fatalf("no fault; the attacker's farm: %v", attacks > 0)
		}
	}
	if attacks == 0 {
		t.Error("the attacker's farm was never read, so the test shows nothing")
	}
}

// A file is checked on the descriptor that is read, and cached by its own state, not by the state of an earlier file of
// the same name.
func TestFileIsCheckedAsItIsRead(t *testing.T) {
	needRoot(t)
	root := t.TempDir()
	testmachine.Write(t, root, map[string]string{"web.toml": plain, "evil": untrustedFarm, "good": plain})
	at := func(name string) string { return filepath.Join(root, name) }
	testmachine.Must(t, os.Chmod(at("evil"), 0o666), testmachine.Replace(at("web.toml"), "good"))
	e := &Engine{Dirs: []farm.Dir{Dir(root)}}
	later := time.Now().Add(time.Hour) // by then all files have rested
	read := func(before *source.Files, between func()) (*source.Files, diag.Diagnostics) {
		p, s := e.newPermissions(), &source.Files{}
		defer p.Close()
		d := s.Cached(p.Dirs(e.Dirs), before, later)[0]
		_, err := fs.Stat(d.FS, "web.toml")
		testmachine.Must(t, err)
		between()
		_, err = fs.ReadFile(d.FS, "web.toml")
		testmachine.Must(t, err)
		return s, p.Diagnostics()
	}
	first, diagnostics := read(nil, func() { testmachine.Must(t, testmachine.Replace(at("web.toml"), "evil")) })
	if text := first.ByPath[at("web.toml")].Text; string(text) != untrustedFarm || !diagnostics.Faulty() {
		t.Errorf("reads %q, tells %v", text, diagnostics)
	}
	testmachine.Must(t, testmachine.Replace(at("web.toml"), "good"))
	again, diagnostics := read(first, func() {})
	if text := again.ByPath[at("web.toml")].Text; string(text) != plain || diagnostics.Faulty() {
		t.Errorf("then reads %q, tells %v", text, diagnostics)
	}
}
