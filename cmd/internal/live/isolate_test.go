package live

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/source"
	"farmc/cmd/internal/testmachine"
	"farmc/compiler"
	"farmc/compiler/farm"
)

// sourcesOf writes files and compiles them.
func sourcesOf(t *testing.T, files map[string]string) *compilation {
	t.Helper()
	root := t.TempDir()
	testmachine.Write(t, root, files)
	t.Chdir(root)
	sources := &source.Files{}
	return compileLocal(&compiler.Compiler{}, sources, sources.Cached([]farm.Dir{Dir(".")}, nil, time.Now()))
}

// Each fault keeps the farm or list that causes it, and no other one.
func TestIsolation(t *testing.T) {
	text := func(listen string, more ...string) string {
		return "listen = '" + listen + "'\nbackends.b1.address = '10.0.0.1'\n" + strings.Join(more, "\n")
	}
	one, two, three := text("192.0.2.1:80"), text("192.0.2.2:80"), text("192.0.2.3:80")
	lists := func(name string) string { return text("192.0.2.9:80", "access.deny = '@"+name+"'") }
	was := map[string]string{
		"web.toml": one, "mail.toml": two, "shop.toml": lists("bad"), "bad.list": "198.51.100.0/24"}
	for _, c := range []struct {
		name string
		now  map[string]string // changed files; "": deleted
		want string            // kept farms and lists
		run  string            // loaded farms
	}{
		{"typo", map[string]string{"web.toml": one + "wieght = 1"}, "web.toml", "mail shop web"},
		{"drop-in", map[string]string{"web.toml.d/x.toml": "wieght = 1"}, "web.toml", "mail shop web"},
		{"new", map[string]string{"new.toml": "wieght = 1"}, "new.toml", "mail shop web"},
		{"emptied", map[string]string{"web.toml": " "}, "web.toml", "mail shop web"},
		{"other-changes", map[string]string{"web.toml": one + "wieght = 1", "mail.toml": three},
			"web.toml", "mail shop web"},
		{"new-meets-old", map[string]string{"new.toml": one}, "new.toml", "mail shop web"},
		{"edited-meets-old", map[string]string{"mail.toml": one}, "mail.toml", "mail shop web"},
		{"both-edited", map[string]string{"mail.toml": three, "web.toml": three},
			"mail.toml web.toml", "mail shop web"},
		{"kept-meets-new", map[string]string{"web.toml": three + "wieght = 1", "new.toml": one},
			"new.toml web.toml", "mail shop web"},
		{"chain", map[string]string{"web.toml": "", "mail.toml": one, "new.toml": two, "z.toml": "typo"},
			"z.toml", "mail new shop"},
		{"list", map[string]string{"bad.list": "nonsense"}, "bad.list", "mail shop web"},
		{"list-gone", map[string]string{"bad.list": ""}, "bad.list", "mail shop web"},
		{"list-renamed-and-typo", map[string]string{
			"bad.list": "", "worse.list": "198.51.100.0/24", "shop.toml": lists("worse") + "wieght = 1"},
			"bad.list shop.toml worse.list", "mail shop web"},
		{"name", map[string]string{"-9.toml": three}, "-9.toml", "mail shop web"},
	} {
		t.Run(c.name, func(t *testing.T) {
			last := sourcesOf(t, was)
			files := maps.Clone(was)
			maps.Copy(files, c.now)
			maps.DeleteFunc(files, func(_, text string) bool { return text == "" })
			now := sourcesOf(t, files)
			i := &isolation{now: now.sources, last: last.sources}
			mixed := i.repair(now.diagnostics)
			if mixed == nil {
				t.Fatalf("no help; keeps %v\n%v", i.kept, now.diagnostics)
			}
			if got := strings.Join(i.kept, " "); got != c.want {
				t.Errorf("keeps %q, want %q", got, c.want)
			}
			if got := strings.Join(slices.Sorted(maps.Keys(farm.Describe(mixed.script.Farms))), " "); got != c.run {
				t.Errorf("farms %q, want %q", got, c.run)
			}
		})
	}
}
