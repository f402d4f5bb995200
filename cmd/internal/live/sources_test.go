package live

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"farmc/compiler"
	"farmc/compiler/farm"
)

func writeFiles(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const plain = "listen = '192.0.2.1:80'\nbackends.b1.address = '10.0.0.1'\n"

// Source files compile to the same script after they were packed and unpacked.
func TestSources(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, map[string]string{
		"etc/web.toml":              plain,
		"etc/mail.toml":             "listen = '192.0.2.2:25'\nbackends.b1.address = '10.0.0.1'\n",
		"etc/gone.toml":             "not TOML",
		"etc/office.list":           "198.51.100.0/24\nno network",
		"run/web.toml.d/drain.toml": "backends.b1.state = 'drain'",
		"run/orphan.toml.d/x.toml":  "",
	})
	if err := os.Symlink("/dev/null", filepath.Join(root, "run/gone.toml")); err != nil {
		t.Fatal(err)
	}
	dirs := []farm.Dir{Dir(filepath.Join(root, "etc")), Dir(filepath.Join(root, "run"))}
	dirs[0].Lenient = true
	var s SourceFiles
	script, diagnostics := compiler.Compile(s.cachedDirs(dirs, nil, time.Now()))
	if diagnostics.Faulty() {
		t.Fatal(diagnostics)
	}
	again, digest, err := unpack(s.pack(script.Digest))
	if err != nil || digest != script.Digest {
		t.Fatalf("unpacked for %s: %v", digest, err)
	}
	if again.Digest() != s.Digest() {
		t.Error("what was unpacked are other files")
	}
	once, diagnostics := compiler.Compile(again.Dirs())
	if once == nil || once.Digest != script.Digest {
		t.Fatalf("compiles to something else; %v", diagnostics)
	}
	writeFiles(t, root, map[string]string{"etc/web.toml": "# edited\n" + plain})
	var edited SourceFiles
	compiler.Compile(edited.cachedDirs(dirs, nil, time.Now()))
	if edited.Digest() == s.Digest() {
		t.Error("an edited file makes no difference")
	}
}

func TestNoSources(t *testing.T) {
	var s SourceFiles
	script, _ := compiler.Compile(s.cachedDirs([]farm.Dir{Dir(t.TempDir())}, nil, time.Now()))
	again, diagnostics := compiler.Compile(s.Dirs())
	if again == nil || again.Digest != script.Digest {
		t.Fatal(diagnostics)
	}
	if _, _, err := unpack([]byte("rubbish")); err == nil {
		t.Error("rubbish is unpacked")
	}
}

// If a directory is replaced while it is read, all farms come from one version.
func TestDirectoryReplacedWhileRead(t *testing.T) {
	root := t.TempDir()
	for _, n := range []string{"1", "2"} {
		a := strings.ReplaceAll(plain, "10.0.0.1", "10.0.0."+n)
		b := strings.ReplaceAll(a, "192.0.2.1", "192.0.2.2")
		writeFiles(t, root, map[string]string{n + "/a.toml": a, n + "/b.toml": b})
	}
	link := filepath.Join(root, "farms.d")
	turn := func(to string) {
		if err := errors.Join(os.Symlink(to, link+".new"), os.Rename(link+".new", link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, turns := range [][]string{{"2"}, {"2", "1"}} {
		turn("1")
		e := &Engine{Dirs: []farm.Dir{{Path: link, FS: hookedDir{os.DirFS(link).(fs.StatFS), sync.OnceFunc(func() {
			for _, to := range turns {
				turn(to)
			}
		})}}}}
		c := e.compile()
		if c.script == nil {
			t.Fatal(c.diagnostics)
		}
		now := string(c.script.Text)
		if strings.Contains(now, "10.0.0.1 ") == strings.Contains(now, "10.0.0.2 ") {
			t.Errorf("farms of both versions:\n%s", now)
		}
	}
}

// A hookedDir is a directory that calls opened after each file that is opened.
type hookedDir struct {
	fs.StatFS
	opened func()
}

func (r hookedDir) Open(name string) (fs.File, error) {
	file, err := r.StatFS.Open(name)
	r.opened()
	return file, err
}

func (r hookedDir) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(r.StatFS, name) }
