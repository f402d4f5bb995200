package live

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farmc/cmd/internal/source"
	"farmc/cmd/internal/testmachine"
)

// followedFarms returns an engine that follows two directories with two farms.
func followedFarms(t *testing.T) (*Engine, string) {
	t.Helper()
	root := testmachine.Root(t)
	testmachine.Write(t, root, map[string]string{"etc/web.toml": webFarm, "etc/mail.toml": mailFarm, "run/.keep": ""})
	e := &Engine{Log: t.Logf, FollowsFiles: true}
	e.Dirs = append(e.Dirs, Dir(root+"/etc"), Dir(root+"/run"))
	return e, root
}

// mustBeCurrent compares a compilation with that of an engine that reads all files.
func mustBeCurrent(t *testing.T, rule string, e *Engine, c *compilation) {
	t.Helper()
	want := (&Engine{Log: t.Logf, Dirs: e.Dirs}).compile()
	switch {
	case fmt.Sprint(c.diagnostics) != fmt.Sprint(want.diagnostics):
		t.Errorf("%s: the diagnostics are\n%v\ninstead of\n%v", rule, c.diagnostics, want.diagnostics)
	case (c.script == nil) != (want.script == nil) || c.script != nil && c.script.Digest != want.script.Digest:
		t.Errorf("%s: the script is not that of the files", rule)
	case c.sources.Digest() != want.sources.Digest() || !slices.Equal(c.sources.Paths(), want.sources.Paths()):
		t.Errorf("%s: the sources are %q instead of %q", rule, c.sources.Paths(), want.sources.Paths())
	}
}

// After each change that other programs make, a compilation has the farms of the files. If the files of farms alone
// have changed, it reads no others.
func TestFollowedFiles(t *testing.T) {
	drain := "backends.b1.state = 'drain'\n"
	changes := []struct {
		rule string
		do   func(root string) error
		few  bool // no other files are read
	}{
		{"nothing", func(string) error { return nil }, true},
		{"a text in place", write("etc/web.toml", strings.Replace(webFarm, "10.0.0.1", "10.0.0.7", 1)), true},
		{"a file over another one", replace("etc/mail.toml", strings.Replace(mailFarm, ":25", ":26", 1)), true},
		{"the first drop-in", write("run/web.toml.d/a.toml", drain), true},
		{"one beside it", write("run/web.toml.d/b.toml", "backends.b1.weight = 3\n"), true},
		{"another text of a drop-in", write("run/web.toml.d/a.toml", "backends.b1.state = 'down'\n"), true},
		{"a drop-in goes", remove("run/web.toml.d/b.toml"), true},
		{"the directory of drop-ins goes", remove("run/web.toml.d"), true},
		{"it comes again", write("run/web.toml.d/a.toml", drain), true},
		{"another directory in its place", swap("run/web.toml.d", "a.toml", "backends.b1.weight = 5\n"), true},
		{"a change in that", write("run/web.toml.d/a.toml", "backends.b1.weight = 6\n"), true},
		{"a fault of a farm", write("etc/web.toml", "listen = 5\n"), true},
		{"a farm that is no TOML", write("etc/web.toml", "listen\n"), true},
		{"it is right again", write("etc/web.toml", webFarm), true},
		{"a file of the same name in the other directory", write("run/web.toml", webFarm+"b2.weight = 4\n"), true},
		{"that goes", remove("run/web.toml"), true},
		{"a hidden file", write("etc/.web.toml.swp", "x"), true},
		{"a new farm", write("etc/dns.toml", strings.Replace(webFarm, ":80", ":53", 1)), false},
		{"a farm goes", remove("etc/dns.toml"), false},
		{"two farms change names", exchange("etc/web.toml", "etc/mail.toml"), true},
		{"a list", write("etc/bad.list", "198.51.100.0/24\n"), false},
		{"a longer list", write("etc/bad.list", "198.51.100.0/24\n203.0.113.1\n"), false},
		{"defaults", write("etc/_defaults.toml", "log.on = 'denied'\n"), false},
		{"no defaults", remove("etc/_defaults.toml"), false},
		{"a farm that others can write to", mode("etc/web.toml", 0o666), false},
		{"that they cannot", mode("etc/web.toml", 0o644), false},
		{"a directory that others can write to", mode("run", 0o777), false},
		{"that they cannot write to", mode("run", 0o755), false},
		{"a directory above that others can write to", mode(".", 0o777), false},
		{"that only its owner can write to", mode(".", 0o755), false},
		{"a misnamed file", write("etc/dns.conf", webFarm), false},
		{"it goes", remove("etc/dns.conf"), false},
		{"a farm is masked", link("/dev/null", "run/mail.toml"), false},
		{"it is not", remove("run/mail.toml"), false},
		{"a farm is a symlink", link("../aside.toml", "run/mail.toml"), false},
		{"its target changes", write("aside.toml", strings.Replace(mailFarm, ":25", ":27", 1)), false},
		{"no symlink", remove("run/mail.toml"), false},
		{"another directory at the same path", swap("run", "web.toml", webFarm), false},
		{"a farm in that", write("run/web.toml", webFarm+"b2.weight = 7\n"), true},
	}
	e, root := followedFarms(t)
	testmachine.Write(t, root, map[string]string{"aside.toml": mailFarm})
	e.compile()
	for _, c := range changes {
		before := e.memory().known
		testmachine.Must(t, c.do(root))
		now := e.compile()
		mustBeCurrent(t, c.rule, e, now)
		if few := before != nil && e.memory().known == before; few != c.few && before != nil {
			t.Errorf("%s: reads the files that changed alone: %t", c.rule, few)
		}
		for range 2 { // the first one reads all files after a change of these
			mustBeCurrent(t, c.rule+", once more", e, e.compile())
		}
	}
}

// The functions make changes below a directory.
func write(path, text string) func(string) error {
	return func(root string) error {
		return errors.Join(os.MkdirAll(filepath.Dir(root+"/"+path), 0o755),
			os.WriteFile(root+"/"+path, []byte(text), 0o644))
	}
}

func replace(path, text string) func(string) error {
	return func(root string) error {
		return errors.Join(os.WriteFile(root+"/new", []byte(text), 0o644), os.Rename(root+"/new", root+"/"+path))
	}
}

func remove(path string) func(string) error {
	return func(root string) error { return os.RemoveAll(root + "/" + path) }
}

func swap(dir, name, text string) func(string) error {
	return func(root string) error {
		return errors.Join(write("new/"+name, text)(root), os.Rename(root+"/"+dir, root+"/old"+filepath.Base(dir)),
			os.Rename(root+"/new", root+"/"+dir))
	}
}

func exchange(a, b string) func(string) error {
	return func(root string) error {
		return errors.Join(os.Rename(root+"/"+a, root+"/new"), os.Rename(root+"/"+b, root+"/"+a),
			os.Rename(root+"/new", root+"/"+b))
	}
}

func mode(path string, mode os.FileMode) func(string) error {
	return func(root string) error { return os.Chmod(root+"/"+path, mode) }
}

func link(target, path string) func(string) error {
	return func(root string) error { return os.Symlink(target, root+"/"+path) }
}

// A change that was compiled and not written is forgotten by the next compilation.
func TestFollowedAfterUnsavedChange(t *testing.T) {
	e, root := followedFarms(t)
	e.compile()
	known := e.memory().known
	for file, text := range map[string]string{
		"etc/web.toml": webFarm + "b1.weight = 9\n", "run/web.toml.d/a.toml": "backends.b1.weight = 9\n",
	} {
		c := e.compileWith([]source.Change{{Path: filepath.Join(root, file), Text: []byte(text)}})
		if c.script == nil || c.script.Farms[1].Backends[0].Weight != 9 {
			t.Fatalf("%s: the change is not compiled: %v", file, c.diagnostics)
		}
		mustBeCurrent(t, file, e, e.compile())
	}
	if e.memory().known != known {
		t.Error("all files were read")
	}
}

// A compilation of other files by the same compiler, as without a faulty drop-in, has the next one read all files.
func TestFollowedAfterOtherFiles(t *testing.T) {
	e, root := followedFarms(t)
	e.compile()
	testmachine.Must(t, write("run/web.toml.d/a.toml", "nonsense = 1\n")(root))
	c := e.compile()
	if mixed, faulty := e.setAside(c); len(faulty.aside) != 1 || mixed.script == nil {
		t.Fatalf("no drop-in is set aside: %v", mixed.diagnostics)
	}
	mustBeCurrent(t, "a drop-in that was set aside", e, e.compile())
}

// After ReadAll a compilation reads all files.
func TestReadAll(t *testing.T) {
	e, _ := followedFarms(t)
	e.compile()
	before := e.memory().known
	e.ReadAll()
	if e.compile(); before == nil || e.memory().known == before {
		t.Error("the files are taken from memory")
	}
}

// A change by another name of a file is no event in its directory.
func TestFollowedHardLink(t *testing.T) {
	e, root := followedFarms(t)
	testmachine.Must(t, os.Link(root+"/etc/web.toml", root+"/second"))
	e.compile()
	testmachine.Must(t, write("second", strings.Replace(webFarm, "10.0.0.1", "10.0.0.8", 1))(root))
	mustBeCurrent(t, "a change by another name", e, e.compile())
	testmachine.Must(t, os.Remove(root+"/second"))
	e.compile()
	if e.compile(); e.memory().known == nil {
		t.Error("a file with one name is not followed again")
	}
}

// A directory of farms can be a symlink, which is turned to another version of all farms.
func TestFollowedLinkToDirectory(t *testing.T) {
	_, root := followedFarms(t)
	testmachine.Must(t, errors.Join(write("new/web.toml", strings.Replace(webFarm, "10.0.0.1", "10.0.0.9", 1))(root),
		link("etc", "farms.d")(root)))
	e := &Engine{Log: t.Logf, FollowsFiles: true}
	e.Dirs = append(e.Dirs, Dir(root+"/farms.d"))
	e.compile()
	testmachine.Must(t, errors.Join(link("new", "turned")(root), os.Rename(root+"/turned", root+"/farms.d")))
	mustBeCurrent(t, "another version", e, e.compile())
	testmachine.Must(t, write("new/web.toml", webFarm)(root))
	mustBeCurrent(t, "a change in that", e, e.compile())
}
