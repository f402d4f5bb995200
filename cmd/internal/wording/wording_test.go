package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree writes files, and gives the directory that holds them.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestSentences(t *testing.T) {
	for _, c := range []struct {
		name, file, content string
		want                []string // line: sentence
	}{
		{"go", "a.go", "// Package a is short. Too short. It has\n// two sentences.\npackage a\n",
			[]string{"1: Package a is short.", "1: It has two sentences."}},
		{"go-sentence-of-the-second-line", "a.go", "// Package a.\n// Here begins another one.\npackage a\n",
			[]string{"2: Here begins another one."}},
		{"go-paragraphs", "a.go", "// one two three four\n//\n// - five six seven eight\n// - a b c d\npackage a\n",
			[]string{"1: one two three four", "3: five six seven eight", "4: a b c d"}},
		{"go-comment-behind-code", "a.go",
			"package a\n\nvar b int // one two three four\nvar c int // five six seven eight\n",
			[]string{"3: one two three four", "4: five six seven eight"}},
		{"go-block", "a.go", "/* one two\nthree four. Five six seven eight. */\npackage a\n",
			[]string{"1: one two three four.", "2: Five six seven eight."}},
		{"go-directive", "a.go", "//go:build one && two && three && four\n\npackage a\n", nil},
		{"go-code", "a.go", "// one two three four:\n//\n//\tfive six seven eight\npackage a\n",
			[]string{"1: one two three four:"}},
		{"go-string", "a.go", "package a\n\nconst b = \"// one two three four\"\n", nil},
		{"go-quotes", "a.go", "// He says \"one two three.\" Five six seven eight.\npackage a\n",
			[]string{"1: He says \"one two three.\"", "1: Five six seven eight."}},
		{"template", "a.nft",
			"chain a {\n{{- /* one two\n three four. */ -}}\n\t# five six seven eight\n\taccept # no comment\n}\n",
			[]string{"2: one two three four.", "4: five six seven eight"}},
		{"markdown", "a.md", "# one two three four\nfive six\nseven eight\n",
			[]string{"1: one two three four", "2: five six seven eight"}},
		{"markdown-fence", "a.md", "one two three four\n```sh\nfive six seven eight\n```\none two three five\n",
			[]string{"1: one two three four", "5: one two three five"}},
		{"markdown-indented-code", "a.md",
			"one two three four\n\n    five six seven eight\n\n    one two three five\n\none two three six\n",
			[]string{"1: one two three four", "7: one two three six"}},
		{"markdown-list", "a.md", "- one two three four\n\n    five six seven eight\n",
			[]string{"1: one two three four", "3: five six seven eight"}},
		{"markdown-table", "a.md", "| one two three | four five |\n|---|---|\n| one two three four | five |\n",
			[]string{"3: one two three four"}},
		{"markdown-quoted-code", "a.md", "one two three `whose five six`\n", []string{"1: one two three ``"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := sourceOf(c.file)
			prose, err := s.prose(c.file, c.content)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range prose {
				for _, s := range p.sentences() {
					got = append(got, string(rune('0'+s.line))+": "+s.text)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// clear is comments with ten sentences that name things.
var clear = strings.Repeat("// A set holds the addresses.\n", 10)

func TestVerdict(t *testing.T) {
	const points, pointsToo = "// It is what the set holds.\n", "// Nobody holds the address.\n"
	for _, c := range []struct {
		name   string
		files  map[string]string
		broken bool
		want   string // of the output
	}{
		{"clear", map[string]string{"a/a.go": clear + "package a\n"}, false, "       10        0  0.0 %     0  "},
		{"one-pointing-sentence", map[string]string{"a/a.go": clear + points + "package a\n"}, false,
			"       11        1  9.1 %     0  "},
		{"two-pointing-sentences", map[string]string{"a/a.go": clear + points + pointsToo + "package a\n"}, true,
			`a/a.go:11: "what" in: It is what the set holds.`},
		{"two-of-many", map[string]string{"a/a.go": strings.Repeat(clear, 9) + points + pointsToo + "package a\n"},
			false, "2.2 %"},
		{"two-packages", map[string]string{"a/a.go": points + "package a\n", "b/b.go": points + "package b\n"}, false,
			"100.0 %"},
		{"test-of-the-package", map[string]string{"a/a.go": points + "package a\n",
			"a/a_test.go": pointsToo + "package a\n"}, true,
			`a/a_test.go:1: "Nobody" in`},
		{"line-of-120", map[string]string{"a.go": "package a\n\n\t//" + strings.Repeat("-", 114) + "\n"}, false, ""},
		{"line-of-121", map[string]string{"a.go": "package a\n\n\t//" + strings.Repeat("ä", 115) + "\n"}, true,
			"a.go:3: 121 columns, at most 120"},
		{"line-of-markdown", map[string]string{"a.md": strings.Repeat("-", 200) + "\n"}, false, ""},
		{"other-words", map[string]string{"a.go": strings.Repeat("// It is somewhat whatsoever then.\n", 2) +
			"package a\n"},
			false, "        2        0  0.0 %"},
		{"left-out", map[string]string{".git/a.go": points + pointsToo, "testdata/a.go": "no Go",
			"golden/a.nft": "# " + points + "# " + pointsToo}, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			broken, err := check(&out, []string{tree(t, c.files)}, limits{share: 3, few: 1, columns: 120}, false)
			if err != nil || broken != c.broken || !strings.Contains(out.String(), c.want) {
				t.Errorf("broken: %v, %v; want %v and %q in\n%s", broken, err, c.broken, c.want, &out)
			}
		})
	}
}

func TestNoGoIsAnError(t *testing.T) {
	root := tree(t, map[string]string{"a.go": "what?"})
	if _, err := check(&strings.Builder{}, []string{root}, limits{}, false); err == nil {
		t.Error("measured")
	}
}
