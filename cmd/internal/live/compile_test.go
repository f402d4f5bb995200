package live

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"farmc/cmd/internal/testmachine"
	"farmc/compiler/farm"
)

// If a directory is replaced while it is read, all farms come from one version.
func TestDirectoryReplacedWhileRead(t *testing.T) {
	root := t.TempDir()
	for _, n := range []string{"1", "2"} {
		a := strings.ReplaceAll(plain, "10.0.0.1", "10.0.0."+n)
		b := strings.ReplaceAll(a, "192.0.2.1", "192.0.2.2")
		testmachine.Write(t, root, map[string]string{n + "/a.toml": a, n + "/b.toml": b})
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
