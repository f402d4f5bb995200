package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	farmsd "farmc/farms.d"
)

// rendered writes the pages and examples to a directory.
func rendered(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := manual(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// pageNames are all pages, as they are installed: farmc.1 and so on.
func pageNames(t *testing.T) (names []string) {
	t.Helper()
	files, err := fs.Glob(pages, "*.md")
	if err != nil || len(files) < 6 {
		t.Fatalf("there are the pages %v (%v), not all six", files, err)
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f, ".md"))
	}
	return names
}

func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := pages.ReadFile(name + ".md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// man is the page as man shows it on 80 columns. Where man is missing the test is skipped, or fails if CI is set.
func man(t *testing.T, file string) string {
	t.Helper()
	program, err := exec.LookPath("man")
	switch {
	case err != nil && os.Getenv("CI") == "":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-P", "cat", file)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANROFFSEQ=", "MANWIDTH=80", "GROFF_NO_SGR=1", "GROFF_SGR=")
	var told strings.Builder
	cmd.Stderr = &told
	out, err := cmd.Output()
	if err != nil || told.Len() > 0 {
		t.Errorf("man %s: %v\n%s", filepath.Base(file), err, told.String())
	}
	return overstruck.ReplaceAllString(string(out), "")
}

// overstruck is how grotty prints bold and italic letters, or the escape sequences for them.
var overstruck = regexp.MustCompile("[^\n]\b|\x1b\\[[0-9;]*m")

// Man shows every page without a warning, no wider than a terminal.
func TestPagesFitATerminal(t *testing.T) {
	dir := rendered(t)
	for _, name := range pageNames(t) {
		shown := man(t, filepath.Join(dir, name))
		for line := range strings.Lines(shown) {
			if line = strings.TrimRight(line, "\n"); len([]rune(line)) > 80 {
				t.Errorf("%s: a line of %d columns: %s", name, len([]rune(line)), line)
			}
		}
	}
}

var seeAlso = regexp.MustCompile(`\*\*((?:farmc|farms)[a-z.-]*)\*\*\(([157])\)`)

// Each page begins as whatis needs it, and names no page of farmc that does not exist.
func TestPagesNameEachOther(t *testing.T) {
	names := pageNames(t)
	for _, name := range names {
		text := readPage(t, name)
		heading, section, _ := strings.Cut(name[:len(name)-2]+"|"+name[len(name)-1:], "|")
		want := "# " + heading + "(" + section + ")\n\n## NAME\n\n" + heading + " - "
		if !strings.HasPrefix(text, want) {
			t.Errorf("%s begins with %q, not %q", name, text[:40], want)
		}
		for _, at := range seeAlso.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(names, at[1]+"."+at[2]) {
				t.Errorf("%s names %s(%s), and there is no such page", name, at[1], at[2])
			}
		}
	}
}

// programVerbs asks farmc itself.
func programVerbs(t *testing.T) []Verb {
	t.Helper()
	farmc := filepath.Join(t.TempDir(), "farmc")
	if out, err := exec.Command("go", "build", "-o", farmc, "../farmc").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	verbs, err := readVerbs(func(args ...string) (string, error) {
		cmd := exec.Command(farmc, append([]string{"help"}, args...)...)
		cmd.Env = []string{}
		out, err := cmd.Output()
		return string(out), err
	})
	if err != nil {
		t.Fatal(err)
	}
	return verbs
}

// farmc(1) has the commands of the program, in its order, each with its own options, and the common ones.
func TestCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("runs farmc for each command")
	}
	verbs := programVerbs(t)
	page := readPage(t, "farmc.1")
	var synopsis, headings []string
	for _, v := range verbs {
		synopsis = append(synopsis, strings.TrimSpace("farmc "+v.Name+" "+v.Args))
		headings = append(headings, strings.TrimSpace("farmc "+v.Name+" "+v.Args))
	}
	if want := "## SYNOPSIS\n\n```\n" + strings.Join(synopsis, "\n") + "\n```\n"; !strings.Contains(page, want) {
		t.Errorf("farmc(1) lacks\n%s", want)
	}
	sections := strings.Split(section(page, "COMMANDS"), "\n### ")[1:]
	if len(sections) != len(verbs) {
		t.Fatalf("farmc(1) explains %d commands, the program has %d", len(sections), len(verbs))
	}
	for i, v := range verbs {
		heading, text, _ := strings.Cut(sections[i], "\n")
		if heading != headings[i] {
			t.Errorf("farmc(1) explains %q, not %q", heading, headings[i])
		}
		sameOptions(t, "farmc "+v.Name, optionsOf(text), v.Own)
	}
	sameOptions(t, "OPTIONS", optionsOf(section(page, "OPTIONS")), common(verbs))
}

// section is the text below a heading of the second level.
func section(page, heading string) string {
	_, text, _ := strings.Cut(page, "\n## "+heading+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

var optionTerm = regexp.MustCompile(`(?m)^(\*\*-.*)\n: `)

// optionsOf are the options that a section explains, as farmc's help writes them: "-o, --output file".
func optionsOf(text string) (options []string) {
	for _, at := range optionTerm.FindAllStringSubmatch(text, -1) {
		options = append(options, strings.ReplaceAll(at[1], "*", ""))
	}
	return options
}

func sameOptions(t *testing.T, where string, got []string, of []Option) {
	t.Helper()
	var want []string
	for _, o := range of {
		want = append(want, o.Flag)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: farmc(1) explains the options %q, the program has %q", where, got, want)
	}
}

// The messages that farmc(1) explains are messages of the program.
func TestDiagnostics(t *testing.T) {
	var source strings.Builder
	for _, dir := range []string{"../farmc", "../internal", "../../compiler"} {
		err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(filepath.Join(dir, path))
			source.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	term := regexp.MustCompile(`(?m)^\*\*(.*)\*\*\n:`)
	terms := term.FindAllStringSubmatch(section(readPage(t, "farmc.1"), "DIAGNOSTICS"), -1)
	if len(terms) < 5 {
		t.Errorf("farmc(1) explains %d messages", len(terms))
	}
	for _, at := range terms {
		for words := range strings.SplitSeq(at[1], "...") {
			if !strings.Contains(source.String(), strings.TrimSpace(words)) {
				t.Errorf("no message of the program has the words %q", words)
			}
		}
	}
}

// farms.d(5) has every table and every key of the reference, with every word of the comments.
func TestKeys(t *testing.T) {
	shown := strings.Join(strings.Fields(man(t, filepath.Join(rendered(t), "farms.d.5"))), " ")
	text := farmsd.Reference
	keys := 0
	for _, at := range regexp.MustCompile(`(?m)^#?([a-z-]+ = \S+)`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(shown, " "+at[1]) {
			t.Errorf("farms.d(5) lacks %s", at[1])
		}
		keys++
	}
	if keys < 40 {
		t.Errorf("the reference has %d keys", keys)
	}
	for _, table := range regexp.MustCompile(`(?m)^#?(\[[a-z0-9.]+\])`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(shown, "KEYS OF "+table[1]) {
			t.Errorf("farms.d(5) lacks the table %s", table[1])
		}
	}
	comments := text[strings.Index(text, "\n#description"):]
	for _, at := range regexp.MustCompile(`(?m)(?:^|\s)# +(.*)$`).FindAllStringSubmatch(comments, -1) {
		for _, word := range strings.Fields(at[1]) {
			if !strings.Contains(shown, word) {
				t.Errorf("farms.d(5) lacks the word %q of %q", word, at[1])
			}
		}
	}
}

var tomlBlock = regexp.MustCompile("(?ms)^```toml\n(.*?)^```$")

// Each block that a page calls toml is a farm that compiles without a word, alone.
func TestFarmsOfThePages(t *testing.T) {
	seen := 0
	for _, name := range pageNames(t) {
		if name == "farmc-examples.7" {
			continue
		}
		for _, at := range tomlBlock.FindAllStringSubmatch(readPage(t, name), -1) {
			seen++
			text := fstest.MapFS{"web.toml": {Data: []byte(at[1])}}
			if _, told := compiler.Compile([]farm.Dir{{FS: text}}); len(told) > 0 {
				t.Errorf("%s: %s\n%s", name, at[1], printed(told))
			}
		}
	}
	if seen < 8 {
		t.Errorf("the pages show %d farms", seen)
	}
}

func printed(told diag.Diagnostics) string {
	var out strings.Builder
	told.Print(&out, diag.Palette{})
	return out.String()
}

// answers are the addresses of the hostname in the examples.
var answers = farm.Dir{Answers: true, FS: fstest.MapFS{
	farm.AnswersFile: {Data: []byte(`{"app.example.org": ["10.2.0.11", "10.2.0.12"]}`)}}}

// The examples compile, each farm with its drop-ins and the lists alone, and all together.
func TestExamples(t *testing.T) {
	all := fstest.MapFS{}
	lists := fstest.MapFS{}
	for _, e := range examples() {
		all[e.Name] = &fstest.MapFile{Data: []byte(e.Text)}
		if strings.HasSuffix(e.Name, ".list") {
			lists[e.Name] = all[e.Name]
		}
	}
	blocks := strings.Count(readPage(t, "farmc-examples.7"), "\n```toml\n")
	if farms := len(all) - len(lists); farms != blocks || farms < 15 {
		t.Errorf("farmc-examples(7) has %d toml blocks, and installs %d files", blocks, farms)
	}
	script, told := compiler.Compile([]farm.Dir{{FS: all}, answers})
	if script == nil || len(told) > 0 {
		t.Errorf("all together: %s", printed(told))
	}
	for name := range all {
		if strings.Contains(name, "/") || !strings.HasSuffix(name, ".toml") {
			continue
		}
		one := fstest.MapFS{}
		for other, file := range all {
			if other == name || strings.HasPrefix(other, name+".d/") || lists[other] != nil {
				one[other] = file
			}
		}
		if _, told := compiler.Compile([]farm.Dir{{FS: one}, answers}); len(told) > 0 {
			t.Errorf("%s: %s", name, printed(told))
		}
	}
}

func TestBlocks(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"a paragraph", "one\ntwo", "one\ntwo\n"},
		{"two", "one\n\ntwo", "one\n\ntwo\n"},
		{"a list", "snat   both\ndnat   one,\n       the other", "* **snat**: both\n* **dnat**: one,\n  the other\n"},
		{"a list below a paragraph", "so\nsnat   both", "so\n\n* **snat**: both\n"},
		{"text with signs of Markdown", `"*" [x] a_b`, "\"\\*\" \\[x\\] a\\_b\n"},
	}
	for _, tt := range tests {
		if got := blocks(tt.text, ""); got != tt.want {
			t.Errorf("%s: %q comes to\n%s\nnot\n%s", tt.name, tt.text, got, tt.want)
		}
	}
}
