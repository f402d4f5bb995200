package compilertest

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// Compiled is the script of farms that have no fault.
func Compiled(t testing.TB, dirs ...farm.Dir) *ruleset.Script {
	t.Helper()
	script, told := compiler.Compile(dirs)
	if script == nil || told.Faulty() {
		var files strings.Builder
		for _, d := range dirs {
			if m, ok := d.FS.(fstest.MapFS); ok {
				for _, name := range slices.Sorted(maps.Keys(m)) {
					fmt.Fprintf(&files, "--- %s\n%s", name, m[name].Data)
				}
			}
		}
		t.Fatalf("%s\n%s", Printed(told), &files)
	}
	return script
}

// Printed gives the diagnostics as a command prints them, without colours.
func Printed(told diag.Diagnostics) string {
	var said strings.Builder
	told.Print(&said, diag.Palette{})
	return said.String()
}

// ReloadCase compiles the two states of a case of farms that change.
func ReloadCase(t testing.TB, name string) (before, after *ruleset.Script) {
	t.Helper()
	root := GoldenFile(t, name)
	state := func(name string) *ruleset.Script {
		dir := filepath.Join(root, name)
		return Compiled(t, append(answersIn(dir), farm.Dir{FS: farmsIn(dir)})...)
	}
	return state("before"), state("after")
}

// PlainFarms are n farms of three backends each.
func PlainFarms(n int, keys string) fstest.MapFS {
	files := fstest.MapFS{}
	for i := range n {
		at := fmt.Sprintf("%d.%d", i/250, i%250+1)
		text := fmt.Sprintf("listen = [\"198.18.%s:80\", \"[2001:db8::%x]:80\"]\n%s\n", at, i+1, keys)
		for b := range 3 {
			text += fmt.Sprintf("[backends.b%d]\naddress = [\"10.%d.%s\", \"fd00:%x::%x\"]\n", b, b, at, b, i+1)
		}
		files[fmt.Sprintf("farm%d.toml", i)] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}
