package permission

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/testmachine"
	"farmc/compiler/farm"
)

// A directory that is replaced during a compilation is read from the old one to the end.
func TestCompilationKeepsItsDirectory(t *testing.T) {
	root := t.TempDir()
	testmachine.Write(t, root, map[string]string{"1/web.toml": plain, "2/web.toml": untrustedFarm})
	link := filepath.Join(root, "farms.d")
	testmachine.Must(t, os.Symlink("1", link))
	p := New(false)
	defer p.Close()
	dir := p.Dirs([]farm.Dir{dirAt(link)})[0].FS
	_, err := fs.ReadDir(dir, ".")
	testmachine.Must(t, err, testmachine.Replace(link, "2"))
	if text, err := fs.ReadFile(dir, "web.toml"); string(text) != plain || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// Links in a circle end as in the kernel. FIFOs and directories are never opened for reading.
func TestCircularLinksAndFIFOs(t *testing.T) {
	root := t.TempDir()
	testmachine.Write(t, root, map[string]string{"d/x": ""})
	at := func(name string) string { return filepath.Join(root, name) }
	testmachine.Must(t, unix.Mkfifo(at("fifo"), 0o600), os.Symlink("b", at("a")), os.Symlink("a", at("b")),
		os.Symlink("d/", at("slash")), os.Symlink("d/../d/x", at("up")), os.Symlink("nowhere", at("dangling")))
	p := New(false)
	defer p.Close()
	dir := p.Dirs([]farm.Dir{dirAt(root)})[0].FS
	for name, want := range map[string]error{
		"a": unix.ELOOP, "d/x/y": unix.ENOTDIR, "dangling": fs.ErrNotExist, "missing": fs.ErrNotExist,
		"up": nil, "slash": nil, "slash/x": nil, "../etc": fs.ErrInvalid} {
		if f, err := dir.Open(name); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		} else if err == nil {
			f.Close()
		}
	}
	if _, err := dir.Open("fifo"); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
	if info, err := fs.Stat(dir, "fifo"); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		t.Error(info, err)
	}
}

// A path with 40 links is followed, one with 41 is not, as in the kernel.
func TestLinkLimit(t *testing.T) {
	root := t.TempDir()
	names := []string{"end"}
	testmachine.Write(t, root, map[string]string{"end": plain})
	for i := range 41 {
		name := strings.Repeat("l", i+1)
		testmachine.Must(t, os.Symlink(names[i], filepath.Join(root, name)))
		names = append(names, name)
	}
	p := New(false)
	defer p.Close()
	checked, kernel := p.Dirs([]farm.Dir{dirAt(root)})[0].FS, os.DirFS(root)
	for _, name := range slices.Backward(names) {
		_, want := fs.ReadFile(kernel, name)
		if _, got := fs.ReadFile(checked, name); (got == nil) != (want == nil) {
			t.Errorf("%d hops: %v, the kernel %v", len(name), got, want)
		}
	}
}

func TestOpenTrusted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root checks permissions")
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "api.keys")
	testmachine.Write(t, dir, map[string]string{"api.keys": "x"})
	insecure := false
	opens := func(want string) {
		t.Helper()
		f, err := Open(name, insecure)
		if f != nil {
			f.Close()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	opens("")
	testmachine.Must(t, os.Chmod(name, 0o666))
	opens("every user may write to it")
	insecure = true
	opens("")
	insecure = false
	testmachine.Must(t, os.Chmod(name, 0o600), os.Chmod(dir, 0o777))
	opens("every user may write to it")
	testmachine.Must(t, os.Chmod(dir, 0o755), os.Rename(name, name+".old"), os.Symlink("/dev/zero", name))
	opens("not a regular file")
	testmachine.Must(t, os.Remove(name))
	opens("no such file")
}

// The metadata of a plain file, without opening it, is the same as that of its descriptor. A file that others can
// write to, a link and a file of a directory that others can write to are opened, and reported.
func TestPlainStat(t *testing.T) {
	for _, test := range []struct {
		rule  string
		make  func(t *testing.T, root string)
		plain bool
		want  int // findings
	}{
		{"plain", func(*testing.T, string) {}, true, 0},
		{"world-writable", func(t *testing.T, root string) {
			testmachine.Must(t, os.Chmod(root+"/web.toml", 0o646))
		}, false, 1},
		{"of-another-user", func(t *testing.T, root string) {
			if err := os.Chown(root+"/web.toml", 1234, 0); err != nil {
				t.Skip(err)
			}
		}, false, 1},
		{"directory-of-others", func(t *testing.T, root string) {
			testmachine.Must(t, os.Chmod(root, 0o757))
		}, false, 1},
		{"link", func(t *testing.T, root string) {
			testmachine.Must(t, os.Rename(root+"/web.toml", root+"/file"), os.Symlink("file", root+"/web.toml"))
		}, false, 0},
		{"fifo", func(t *testing.T, root string) {
			testmachine.Must(t, os.Remove(root+"/web.toml"), unix.Mkfifo(root+"/web.toml", 0o600))
		}, false, 0},
	} {
		t.Run(test.rule, func(t *testing.T) {
			root := t.TempDir()
			testmachine.Write(t, root, map[string]string{"web.toml": plain})
			test.make(t, root)
			p := New(false)
			p.off = false
			defer p.Close()
			p.Dirs([]farm.Dir{dirAt(root)})
			dir := p.dirs[0]
			if got := dir.plainStat("web.toml") != nil; got != test.plain {
				t.Errorf("plain: %t, want %t", got, test.plain)
			}
			got, err := dir.Stat("web.toml")
			want, err2 := os.Stat(root + "/web.toml")
			testmachine.Must(t, err, err2)
			if got.Mode() != want.Mode() || got.Size() != want.Size() || !got.ModTime().Equal(want.ModTime()) ||
				*got.Sys().(*syscall.Stat_t) != *want.Sys().(*syscall.Stat_t) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if d := p.Diagnostics(); len(d) != test.want {
				t.Errorf("%d findings, want %d: %v", len(d), test.want, d)
			}
		})
	}
}
