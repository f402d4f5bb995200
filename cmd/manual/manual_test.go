package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// written gives both pages as they are installed, without roff's escapes.
func written(t *testing.T) (commands, farms string, verbs []Verb) {
	t.Helper()
	dir := t.TempDir()
	farmc := filepath.Join(dir, "farmc")
	if out, err := exec.Command("go", "build", "-o", farmc, "../farmc").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := manual(farmc, "../../farms.d/reference.toml", dir); err != nil {
		t.Fatal(err)
	}
	verbs, err := readVerbs(func(args ...string) (string, error) { return help(farmc, args...) })
	if err != nil {
		t.Fatal(err)
	}
	return plain(t, dir, "farmc.1"), plain(t, dir, "farms.d.5"), verbs
}

func plain(t *testing.T, dir, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, page))
	if err != nil {
		t.Fatal(err)
	}
	if man, err := exec.LookPath("man"); err == nil {
		cmd := exec.Command(man, "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", filepath.Join(dir, page))
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANROFFSEQ=", "MANWIDTH=80")
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "warning:") {
			t.Errorf("man %s: %v\n%s", page, err, regexp.MustCompile(`(?m)^.*warning:.*$`).FindAll(out, 5))
		}
	}
	return strings.NewReplacer(`\-`, "-", `\(aq`, "'", `\e`, `\`, `\fB`, "", `\fR`, "").Replace(string(text))
}

// Every command, every option and every key stands in the manual pages with all that is said of it.
func TestManual(t *testing.T) {
	commands, farms, verbs := written(t)
	for _, v := range verbs {
		for _, said := range append([]string{"\nfarmc " + v.Name, v.Summary}, strings.FieldsFunc(v.About, func(r rune) bool { return r == '\n' })...) {
			if !strings.Contains(commands, strings.TrimSpace(said)) {
				t.Errorf("farmc(1) does not say of farmc %s: %q", v.Name, said)
			}
		}
		for _, o := range v.Options {
			if !strings.Contains(commands, "\n"+o.Flag+"\n"+o.Text) {
				t.Errorf("farmc(1) does not have the option %s of farmc %s", o.Flag, v.Name)
			}
		}
	}
	reference, err := os.ReadFile("../../farms.d/reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for _, at := range regexp.MustCompile(`(?m)^#?([a-z-]+ = \S+)`).FindAllStringSubmatch(string(reference), -1) {
		if !strings.Contains(farms, "\n"+at[1]) {
			t.Errorf("farms.d(5) does not have %s", at[1])
		}
		keys++
	}
	for _, table := range regexp.MustCompile(`(?m)^#?(\[[a-z0-9.]+\])`).FindAllString(string(reference), -1) {
		if !strings.Contains(farms, `"KEYS OF `+strings.TrimPrefix(table, "#")+`"`) {
			t.Errorf("farms.d(5) does not have the table %s", table)
		}
	}
	words := regexp.MustCompile(`(?m)\s*(?:^|\s)#\s+(.*)$`)
	for _, at := range words.FindAllStringSubmatch(string(reference[strings.Index(string(reference), "\n#desc"):]), -1) {
		for _, word := range strings.Fields(at[1]) {
			if !strings.Contains(farms, word) {
				t.Errorf("farms.d(5) lacks the word %q of %q", word, at[1])
			}
		}
	}
	if keys < 40 || len(verbs) < 8 {
		t.Errorf("the reference has %d keys, and farmc help lists %d commands?", keys, len(verbs))
	}
}

func TestProse(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"a paragraph", "one\ntwo", "one\ntwo"},
		{"two", "one\n\ntwo", "one\n.PP\ntwo"},
		{"an example", "so:\n\n    farmc help\n    .x\n", "so:\n.PP\n.RS 4\n.nf\nfarmc help\n\\&.x\n.fi\n.RE"},
		{"a list", "snat   both\ndnat   one,\n       the destination", ".RS\n.TP\n\\fBsnat\\fR\nboth\n.TP\n\\fBdnat\\fR\none,\nthe destination\n.RE"},
	}
	for _, tt := range tests {
		if got := prose(tt.text); got != tt.want {
			t.Errorf("%s: %q comes to\n%s\nnot\n%s", tt.name, tt.text, got, tt.want)
		}
	}
}
