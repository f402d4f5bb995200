package compiler_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"farmc/templates"
)

// mayImport has the packages of farmc that each package of the compiler may import.
var mayImport = map[string][]string{
	"compiler":         {"diag", "farm", "ruleset"},
	"compiler/diag":    {},
	"compiler/toml":    {"diag"},
	"compiler/addr":    {},
	"compiler/slots":   {},
	"compiler/farm":    {"diag", "toml", "addr", "slots"},
	"compiler/ruleset": {"diag", "addr", "slots", "toml", "farm", "templates"},
	"compiler/reload":  {"ruleset"},
	"compiler/flows":   {"addr", "farm"},
}

// TestImportsRunOneWay: no package of the compiler imports one that stands above it. Tests may.
func TestImportsRunOneWay(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range goFiles(t, ".") {
		if strings.HasPrefix(file, "internal/") || strings.HasSuffix(file, "_test.go") {
			continue
		}
		dir := path.Join("compiler", path.Dir(file))
		allowed, known := mayImport[dir]
		if !known {
			t.Errorf("%s is in a package without a line in mayImport", file)
		}
		seen[dir] = true
		for _, imported := range importsOf(t, file) {
			name, ours := strings.CutPrefix(imported, "farmc/")
			if ours && !slices.Contains(allowed, strings.TrimPrefix(name, "compiler/")) {
				t.Errorf("%s imports %s, allowed are %v", file, imported, allowed)
			}
		}
	}
	for dir := range mayImport {
		if !seen[dir] {
			t.Errorf("there is no package %s", dir)
		}
	}
}

// goFiles gives the Go files below a directory.
func goFiles(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".go") {
			files = append(files, name)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatal("no Go files below ", dir, ": ", err)
	}
	return files
}

func importsOf(t *testing.T, file string) (out []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range f.Imports {
		imported, _ := strconv.Unquote(i.Path.Value)
		out = append(out, imported)
	}
	return out
}

// TestTemplatesHaveTheirGoFile: templates/X.nft is filled by ruleset/X.go, or reload/X.go: the Go file exists, and it
// names a template of that file.
func TestTemplatesHaveTheirGoFile(t *testing.T) {
	for name, defined := range definedTemplates(t) {
		code := goFileOf(name)
		if code == "" {
			t.Errorf("templates/%s.nft has no Go file of its name", name)
			continue
		}
		if !slices.ContainsFunc(defined, func(d string) bool { return strings.Contains(code, d) }) {
			t.Errorf("%s.go names no template of templates/%s.nft", name, name)
		}
	}
}

// twoSteps are the modes that fill the chain of two_step.nft.
var twoSteps = []string{"nat_two_step", "dsr_two_step", "stateless_two_step"}

// TestGoFilesUseTheirTemplates: an object that X.go adds has a template of templates/X.nft. The modes share the chain
// that picks in two steps, and frames for dsr are handed on by the chain of dsr_pick.nft.
func TestGoFilesUseTheirTemplates(t *testing.T) {
	all := definedTemplates(t)
	named := regexp.MustCompile(`(?:\btemplate: *|new(?:Chain|Map|Set)\([^\n]*Section, )"([^"]+)"[,})]`)
	objects := 0
	for _, file := range goFiles(t, "ruleset") {
		name := strings.TrimSuffix(file, ".go")
		if strings.HasSuffix(name, "_test") {
			continue
		}
		for _, found := range named.FindAllStringSubmatch(goFileOf(name), -1) {
			objects++
			own := slices.Contains(all[name], found[1])
			shared := slices.Contains(twoSteps, name) && slices.Contains(all["two_step"], found[1]) ||
				name == "dsr_two_step" && slices.Contains(all["dsr_pick"], found[1])
			if !own && !shared {
				t.Errorf(
					"ruleset/%s adds an object with the template %q, which templates/%s.nft lacks",
					file,
					found[1],
					name,
				)
			}
		}
	}
	if objects < 20 {
		t.Errorf("only %d objects with a template were found", objects)
	}
}

// definedTemplates gives the names of the templates, by file.
func definedTemplates(t *testing.T) map[string][]string {
	t.Helper()
	files, err := fs.Glob(templates.Files, "*.nft")
	if err != nil || len(files) == 0 {
		t.Fatal("no templates: ", err)
	}
	define := regexp.MustCompile(`{{-? *define "([^"]+)"`)
	out := map[string][]string{}
	for _, file := range files {
		text, err := fs.ReadFile(templates.Files, file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(file, ".nft")
		out[name] = []string{}
		for _, d := range define.FindAllStringSubmatch(string(text), -1) {
			out[name] = append(out[name], d[1])
		}
	}
	return out
}

// goFileOf gives the text of the Go file of a template's name; "" if there is none.
func goFileOf(name string) string {
	for _, dir := range []string{"ruleset", "reload"} {
		if text, err := os.ReadFile(filepath.Join(dir, name+".go")); err == nil {
			return string(text)
		}
	}
	return ""
}
