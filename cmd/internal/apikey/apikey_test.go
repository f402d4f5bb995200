package apikey

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "etc", "api.keys")
	secret, err := Create(path, Key{Name: "probe", Role: Health, Farms: []string{"web", "mail"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path, Key{Name: "ops", Role: Write}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), secret) {
		t.Errorf("the file is %q, %v", text, err)
	}
	want := os.FileMode(0o600)
	if _, err := user.LookupGroup(group); err == nil && os.Geteuid() == 0 {
		want = 0o640
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	keys, errs := Parse(string(text))
	if len(keys) != 2 || len(errs) > 0 {
		t.Fatalf("the file has %d keys, %v", len(keys), errs)
	}
	k, ok := keys.Find(secret)
	if !ok || k.Name != "probe" || k.Role != Health || fmt.Sprint(k.Farms) != "[web mail]" {
		t.Errorf("the key is %+v, %t", k, ok)
	}
}

func TestCreateRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.keys")
	if _, err := Create(path, Key{Name: "ops", Role: Write}); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	for rule, k := range map[string]Key{
		"a name that exists":               {Name: "ops", Role: Read},
		"a name with a line end":           {Name: "a\nb", Role: Read},
		"a name with a blank":              {Name: "a b", Role: Read},
		"an empty name":                    {Role: Read},
		"an unknown role":                  {Name: "x", Role: "root"},
		"a read key of a farm":             {Name: "x", Role: Read, Farms: []string{"web"}},
		"a farm that would be a new line":  {Name: "x", Role: State, Farms: []string{"web\nevil write sha256:00"}},
		"a write key that names one farm":  {Name: "x", Role: Write, Farms: []string{"web"}},
		"a farm that cannot have its name": {Name: "x", Role: State, Farms: []string{"../web"}},
	} {
		if _, err := Create(path, k); err == nil {
			t.Errorf("%s is taken", rule)
		}
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Errorf("the file has changed to %q", after)
	}
}

// Keys that are created at the same moment are all in the file.
func TestCreateAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.keys")
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			if _, err := Create(path, Key{Name: fmt.Sprintf("key%d", n), Role: Read}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	text, _ := os.ReadFile(path)
	if keys, errs := Parse(string(text)); len(keys) != 20 || len(errs) > 0 {
		t.Errorf("%d keys, %v", len(keys), errs)
	}
}

func line(name, role, secret string, farms ...string) string {
	return Key{Name: name, Role: Role(role), Farms: farms, digest: sha256.Sum256([]byte(secret))}.line()
}

func TestParseLeavesOutFaults(t *testing.T) {
	good := line("ops", "write", "s1")
	for rule, bad := range map[string]string{
		"too few words":  "probe read\n",
		"a short digest": "probe read sha256:00\n",
		"no hash name":   "probe read " + strings.Repeat("00", 32) + "\n",
		"unknown role":   strings.Replace(line("probe", "read", "x"), " read ", " reader ", 1),
		"a name twice":   line("ops", "read", "s2"),
	} {
		keys, errs := Parse("# comment\n\n" + good + bad)
		if len(keys) != 1 || keys[0].Role != Write || len(errs) != 1 {
			t.Errorf("%s: %+v, %v", rule, keys, errs)
			continue
		}
		if text := errs[0].Error(); !strings.HasPrefix(text, "line 4: ") || strings.Contains(text, "000000") {
			t.Errorf("%s: %v", rule, text)
		}
	}
}

func TestMay(t *testing.T) {
	limited := Key{Role: State, Farms: []string{"web"}}
	tests := []struct {
		rule string
		key  Key
		p    Permission
		farm string
		want bool
	}{
		{"read reads farms", Key{Role: Read}, ReadFarms, "web", true},
		{"read reads everything", Key{Role: Read}, ReadAll, "", true},
		{"read sets no state", Key{Role: Read}, SetState, "web", false},
		{"read sets no health", Key{Role: Read}, SetHealth, "web", false},
		{"read writes nothing", Key{Role: Read}, WriteAll, "web", false},
		{"state sets states", Key{Role: State}, SetState, "web", true},
		{"state sets health", Key{Role: State}, SetHealth, "web", true},
		{"state writes no farm", Key{Role: State}, WriteAll, "web", false},
		{"a limited key sets the state of its farm", limited, SetState, "web", true},
		{"and not of another farm", limited, SetState, "mail", false},
		{"and not of all farms", limited, SetState, "", false},
		{"a limited key reads other farms", limited, ReadFarms, "mail", true},
		{"write writes", Key{Role: Write}, WriteAll, "", true},
		{"health reads farms", Key{Role: Health}, ReadFarms, "web", true},
		{"health reads nothing else", Key{Role: Health}, ReadAll, "", false},
		{"health sets health", Key{Role: Health}, SetHealth, "web", true},
		{"health drains nothing", Key{Role: Health}, SetState, "web", false},
		{"an unknown role may nothing", Key{Role: "admin"}, ReadFarms, "web", false},
	}
	for _, tt := range tests {
		if got := tt.key.May(tt.p, tt.farm); got != tt.want {
			t.Errorf("%s: %t", tt.rule, got)
		}
	}
}

// The search takes as long for the first key as for the last one and for none. A search that stops at a match would be
// thousands of times faster for the first key.
func TestFindTakesTheSameTime(t *testing.T) {
	var keys Keys
	for n := range 10_000 {
		keys = append(keys, Key{Name: fmt.Sprint(n), digest: sha256.Sum256(fmt.Append(nil, n))})
	}
	least := func(secret string) time.Duration {
		shortest := time.Hour
		for range 20 {
			began := time.Now()
			keys.Find(secret)
			shortest = min(shortest, time.Since(began))
		}
		return shortest
	}
	first, last, none := least("0"), least("9999"), least("-")
	if least, most := min(first, last, none), max(first, last, none); most > 4*least {
		t.Errorf("first %s, last %s, none %s", first, last, none)
	}
	if k, ok := keys.Find("9999"); !ok || k.Name != "9999" {
		t.Errorf("found %+v", k)
	}
}

func TestFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.keys")
	var logged []string
	f := NewFile(func() (io.ReadCloser, error) { return os.Open(path) }, func(format string, args ...any) {
		logged = append(logged, fmt.Sprintf(format, args...))
	})
	has := func(secret string, want bool) {
		t.Helper()
		if _, ok := f.Find(secret); ok != want {
			t.Errorf("%s: %t", secret, ok)
		}
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	has("s1", false)
	write(line("a", "read", "s1") + line("b", "read", "s2"))
	has("s1", true)
	has("s2", true)
	write(line("a", "read", "s3") + line("b", "read", "s2")) // of the same size
	has("s1", false)
	has("s3", true)
	b, _ := f.Find("s2")
	if other, _ := f.Find("s3"); !f.Has(b) || f.Has(Key{}) || f.Has(Key{Name: "b", Role: "read"}) || other.Equal(b) {
		t.Error("the file does not know its own keys")
	}
	write(line("a", "read", "s3") + line("b", "write", "s2"))
	if f.Has(b) {
		t.Error("a key with another role is still known")
	}
	write("broken\n" + line("b", "read", "s2"))
	has("s2", true)
	has("s2", true)
	if len(logged) != 1 || !strings.Contains(logged[0], "line 1: ") {
		t.Errorf("logged %q", logged)
	}
	write(strings.Repeat("#", maxFile+1))
	has("s2", false)
	os.Remove(path)
	os.Mkdir(path, 0o755)
	has("s2", false)
}

// A new key leaves the file to the service that reads it, and to no other user.
func TestCreateKeepsTheGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.keys")
	for _, c := range []struct{ mode, want os.FileMode }{{0o640, 0o640}, {0o600, 0o600}, {0o666, 0o640}} {
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, c.mode)); err != nil {
			t.Fatal(err)
		}
		id := os.Getgid()
		if os.Geteuid() == 0 {
			id = 12345
		}
		if err := os.Chown(path, -1, id); err != nil {
			t.Fatal(err)
		}
		if _, err := Create(path, Key{Name: "ops", Role: Write}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != c.want || int(info.Sys().(*syscall.Stat_t).Gid) != id {
			t.Errorf("mode %o: the file has mode %v, %+v, %v", c.mode, info.Mode(), info.Sys(), err)
		}
	}
}
