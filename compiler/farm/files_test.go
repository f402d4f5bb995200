package farm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"farmc/compiler/diag"
)

// tree is what lies in a directory: text by name; a name that ends in "/" is a directory, one that ends in "|" a FIFO,
// and "-> target" as text makes a link.
type tree map[string]string

func (tr tree) plant(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range tr {
		path := filepath.Join(root, strings.TrimRight(name, "/|"))
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		target, isLink := strings.CutPrefix(text, "-> ")
		switch {
		case err != nil:
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		case strings.HasSuffix(name, "|"):
			err = syscall.Mkfifo(path, 0o644)
		case isLink:
			err = os.Symlink(target, path)
		default:
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestRead(t *testing.T) {
	for _, test := range []struct {
		rule string
		dirs []tree
		want string // the files of each farm and list, and the faults
	}{
		{"farm", []tree{{"web.toml": "a"}}, "web: 1/web.toml=a"},
		{"farms-in-order", []tree{{"b.toml": "b", "a.toml": "a"}}, "a: 1/a.toml=a\nb: 1/b.toml=b"},
		{"list", []tree{{"office.list": "a"}}, "@office: 1/office.list=a"},
		{"drop-ins-in-order", []tree{{"web.toml": "a", "web.toml.d/20.toml": "c", "web.toml.d/10.toml": "b"}},
			"web: 1/web.toml=a 1/web.toml.d/10.toml=b 1/web.toml.d/20.toml=c"},
		{"later-directory-replaces", []tree{{"web.toml": "a"}, {"web.toml": "b"}}, "web: 2/web.toml=b"},
		{"later-directory-replaces-a-list", []tree{{"office.list": "a"}, {"office.list": "b"}},
			"@office: 2/office.list=b"},
		{"directories-add-up", []tree{{"a.toml": "a"}, {"b.toml": "b"}}, "a: 1/a.toml=a\nb: 2/b.toml=b"},
		{"drop-ins-of-all-directories-by-name", []tree{{"web.toml": "a", "web.toml.d/20.toml": "c"},
			{"web.toml.d/10.toml": "b", "web.toml.d/30.toml": "d"}},
			"web: 1/web.toml=a 2/web.toml.d/10.toml=b 1/web.toml.d/20.toml=c 2/web.toml.d/30.toml=d"},
		{"drop-in-of-the-later-directory-replaces",
			[]tree{{"web.toml": "a", "web.toml.d/x.toml": "b"}, {"web.toml.d/x.toml": "c"}},
			"web: 1/web.toml=a 2/web.toml.d/x.toml=c"},
		{"drop-in-of-an-earlier-directory-than-the-farm", []tree{{"web.toml.d/x.toml": "b"}, {"web.toml": "a"}},
			"web: 2/web.toml=a 1/web.toml.d/x.toml=b"},
		{"three-directories", []tree{{"web.toml": "a"}, {"web.toml": "b"}, {"web.toml": "c"}}, "web: 3/web.toml=c"},
		{"link-to-a-file", []tree{{"web.toml": "-> web.txt", "web.txt": "a"}}, "web: 1/web.toml=a"},
		{"link-to-a-directory-of-drop-ins", []tree{{"web.toml": "a", "web.toml.d": "-> elsewhere",
			"elsewhere/x.toml": "b"}},
			"web: 1/web.toml=a 1/web.toml.d/x.toml=b"},

		{"mask", []tree{{"web.toml": "-> /dev/null", "a.toml": "a"}}, "a: 1/a.toml=a"},
		{"mask-of-a-list", []tree{{"office.list": "-> /dev/null"}}, ""},
		{"mask-in-a-later-directory", []tree{{"web.toml": "a"}, {"web.toml": "-> /dev/null"}}, ""},
		{"mask-lifted", []tree{{"web.toml": "-> /dev/null"}, {"web.toml": "a"}}, "web: 2/web.toml=a"},
		{"mask-takes-drop-ins-along", []tree{{"web.toml": "-> /dev/null", "web.toml.d/x.toml": "b"}}, ""},
		{"mask-of-a-drop-in", []tree{{"web.toml": "a", "web.toml.d/x.toml": "b", "web.toml.d/y.toml": "c"},
			{"web.toml.d/x.toml": "-> /dev/null"}},
			"web: 1/web.toml=a 1/web.toml.d/y.toml=c"},
		{"mask-of-a-faulty-name", []tree{{"-1.toml": "-> /dev/null"}}, ""},
		{"link-to-a-link-to-null-is-no-mask", []tree{{"web.toml": "-> null", "null": "-> /dev/null"}},
			"1/web.toml: can't be read: not a regular file"},

		{"ignored", []tree{{".web.toml": "a", ".web.toml.swp": "a", "web.toml~": "a", "#web.toml#": "a",
			"web.toml.dpkg-dist": "a", "README.txt": "a", "toml": "a", "list": "a", ".toml": "a", ".list": "a",
			".web.toml.d/x.toml": "a", "sub/web.toml": "a"}}, ""},
		{"ignored-drop-ins", []tree{{"web.toml": "a", "web.toml.d/.x.toml": "b", "web.toml.d/x.toml~": "b",
			"web.toml.d/x.list": "b", "web.toml.d/README": "b", "web.toml.d/sub/x.toml": "b"}},
			"web: 1/web.toml=a"},
		{"upper-case-ending", []tree{{"web.TOML": "a"}}, "1/web.TOML: " + notRead},
		{"ending-of-other-programs", []tree{{"web.conf": "a", "a.toml": "a", "bl.txt": "b"}},
			"a: 1/a.toml=a\n1/bl.txt: " + notRead + "\n1/web.conf: " + notRead},
		{"second-ending-of-an-editor", []tree{{"web.toml.txt": "a"}}, "1/web.toml.txt: " + notRead},
		{"copy-beside-the-farm", []tree{{"web.toml": "a", "web.conf": "b", "web.txt": "c"}}, "web: 1/web.toml=a"},
		{"drop-ins-of-a-list", []tree{{"office.list": "a", "office.list.d/x.list": "b"}}, "@office: 1/office.list=a"},
		{"no-drop-ins", []tree{{"web.toml": "a", "web.toml.d/": ""}}, "web: 1/web.toml=a"},

		{"fifo", []tree{{"web.toml|": ""}}, "1/web.toml: can't be read: not a regular file"},
		{"fifo-as-list", []tree{{"office.list|": ""}}, "1/office.list: can't be read: not a regular file"},
		{"fifo-as-drop-in", []tree{{"web.toml": "a", "web.toml.d/x.toml|": ""}},
			"web: 1/web.toml=a\n1/web.toml.d/x.toml: can't be read: not a regular file"},
		{"directory", []tree{{"web.toml/x": "a"}}, "1/web.toml: can't be read: not a regular file"},
		{"device", []tree{{"web.toml": "-> /dev/zero"}}, "1/web.toml: can't be read: not a regular file"},
		{"link-to-nowhere", []tree{{"web.toml": "-> nowhere"}}, "1/web.toml: can't be read: no such file or directory"},
		{"link-to-itself", []tree{{"web.toml": "-> web.toml"}},
			"1/web.toml: can't be read: too many levels of symbolic links"},
		{"drop-ins-that-are-a-file", []tree{{"web.toml": "a", "web.toml.d": "b"}},
			"web: 1/web.toml=a\n1/web.toml.d: can't be read: not a directory"},
		{"orphan", []tree{{"shop.toml.d/x.toml": "b"}},
			"1/shop.toml.d/x.toml: a drop-in without its farm: there is no shop.toml"},
		{"orphans-each", []tree{{"shop.toml.d/x.toml": "b"}, {"shop.toml.d/y.toml": "b", "shop.toml.d/README": "c"}},
			"1/shop.toml.d/x.toml: a drop-in without its farm: there is no shop.toml\n2/shop.toml.d/y.toml: a " +
				"drop-in without its farm: there is no shop.toml"},
		{"orphan-masked", []tree{{"shop.toml.d/x.toml": "-> /dev/null"}}, ""},
		{"farm-that-cannot-be-read-has-no-orphans", []tree{{"web.toml/x": "a", "web.toml.d/x.toml": "b"}},
			"1/web.toml: can't be read: not a regular file"},

		{"name", []tree{{"-1.toml": "a", "a b.list": "b"}},
			"1/-1.toml: \"-1\" can't be the name of a farm\n1/a b.list: \"a b\" can't be the name of a list"},
		{"longest-name", []tree{{strings.Repeat("a", 96) + ".toml": "a"}},
			strings.Repeat("a", 96) + ": 1/" + strings.Repeat("a", 96) + ".toml=a"},
		{"name-with-dots", []tree{{"www.example.org.toml": "a", "a.toml.toml": "b"}},
			"a.toml: 1/a.toml.toml=b\nwww.example.org: 1/www.example.org.toml=a"},
		{"names-differ-by-case", []tree{{"web.toml": "a"}, {"WEB.toml": "b"}},
			"WEB: 2/WEB.toml=b\nweb: 1/web.toml=a\n" +
				"1/web.toml: the names of the farms WEB and web differ by case alone"},
		{"masked-name-differs-by-case", []tree{{"web.toml": "a", "WEB.toml": "-> /dev/null"}},
			"web: 1/web.toml=a"},
		{"farm-and-list-of-one-name", []tree{{"web.toml": "a", "web.list": "b"}},
			"web: 1/web.toml=a\n@web: 1/web.list=b"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			var dirs []Dir
			for i, tr := range test.dirs {
				dirs = append(dirs, Dir{Path: fmt.Sprint(i + 1), FS: os.DirFS(tr.plant(t))})
			}
			var told diag.Diagnostics
			var got string
			soon(t, func() { got = wasRead(read(dirs, &told), told) })
			if got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

const notRead = "the file is not read: the names of farms end in .toml, and those of lists in .list"

// soon fails if the call blocks, as reading a FIFO does.
func soon(t *testing.T, do func()) {
	t.Helper()
	done := make(chan bool)
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it hangs")
	}
}

// wasRead writes the farms and lists, a line each, and the diagnostics.
func wasRead(s source, told diag.Diagnostics) string {
	var lines []string
	for _, f := range s.farms {
		line := f.name + ": " + f.main.path + "=" + string(f.main.text)
		for _, d := range f.dropIns {
			line += " " + d.path + "=" + string(d.text)
		}
		lines = append(lines, line)
	}
	for _, l := range s.lists {
		lines = append(lines, "@"+l.name+": "+l.path+"="+string(l.text))
	}
	for _, d := range told {
		lines = append(lines, d.Place.String()+": "+d.Message)
	}
	return strings.Join(lines, "\n")
}

func TestReadDirectories(t *testing.T) {
	missing := os.DirFS(filepath.Join(t.TempDir(), "missing"))
	file := fstest.MapFS{"web.toml": {Data: []byte("a")}}
	for _, test := range []struct {
		rule string
		dirs []Dir
		want string
	}{
		{"missing", []Dir{{Path: "etc", FS: missing}}, "etc: can't be read: no such file or directory"},
		{"missing-beside-another", []Dir{{Path: "etc", FS: missing}, {Path: "run", FS: file}},
			"web: run/web.toml=a\netc: can't be read: no such file or directory"},
		{"optional", []Dir{{Path: "etc", FS: file}, {Path: "run", FS: missing, Optional: true}}, "web: etc/web.toml=a"},
		{"all-optional-and-missing", []Dir{{Path: "etc", FS: missing, Optional: true},
			{Path: "run", FS: missing, Optional: true}},
			"etc: can't be read: file does not exist\nrun: can't be read: file does not exist"},
		{"unreadable", []Dir{{Path: "etc", FS: denied{}}}, "etc: can't be read: permission denied"},
		{"unreadable-though-optional", []Dir{{Path: "etc", FS: denied{}, Optional: true}},
			"etc: can't be read: permission denied"},
		{"twice-the-same", []Dir{{Path: "etc", FS: file}, {Path: "etc", FS: file}}, "web: etc/web.toml=a"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			var told diag.Diagnostics
			if got := wasRead(read(test.dirs, &told), told); got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

// A missing directory has a remedy, and an unreadable one has none.
func TestHintForMissingDirectory(t *testing.T) {
	missing := os.DirFS(filepath.Join(t.TempDir(), "missing"))
	for _, test := range []struct {
		rule string
		dir  Dir
		want string
	}{
		{"missing", Dir{Path: "etc", FS: missing}, "create the directory: mkdir -p etc"},
		{"optional", Dir{Path: "etc", FS: missing, Optional: true}, "create the directory: mkdir -p etc"},
		{"unreadable", Dir{Path: "etc", FS: denied{}}, ""},
	} {
		t.Run(test.rule, func(t *testing.T) {
			var told diag.Diagnostics
			read([]Dir{test.dir}, &told)
			if len(told) != 1 || told[0].Hint != test.want {
				t.Errorf("got %+v, want one fault with the hint %q", told, test.want)
			}
		})
	}
}

// denied is a directory without read permission.
type denied struct{}

func (denied) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("permission denied")}
}

func TestReadTooBig(t *testing.T) {
	var told diag.Diagnostics
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "web.toml"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(root, "web.toml"), MaxFarmSize+1); err != nil {
		t.Fatal(err)
	}
	got := wasRead(read([]Dir{{Path: "etc", FS: os.DirFS(root)}}, &told), told)
	if want := "etc/web.toml: can't be read: 1048577 bytes, at most 1048576"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestFarmsOfFaultyNameHaveNoOrphans: one fault is enough.
func TestFarmsOfFaultyNameHaveNoOrphans(t *testing.T) {
	var told diag.Diagnostics
	new(Cache).Read([]Dir{{FS: fstest.MapFS{"-1.toml": {Data: []byte("a")}, "-1.toml.d/x.toml": {Data: []byte("b")}}}},
		&told)
	if len(told) != 1 {
		t.Error(list(told))
	}
}
