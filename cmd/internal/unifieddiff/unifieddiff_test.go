package unifieddiff

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// patched applies the diff to before by patch(1), which decides whether a unified diff is right.
func patched(t *testing.T, before, difference string) string {
	t.Helper()
	if _, err := exec.LookPath("patch"); err != nil {
		t.Skip("patch is not installed")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("patch", "--silent", "--force", file)
	cmd.Stdin = strings.NewReader(difference)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("patch: %v\n%s\n%s", err, out, difference)
	}
	after, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(after)
}

func numbered(n int, change func(i int) string) string {
	var out strings.Builder
	for i := range n {
		out.WriteString(change(i))
	}
	return out.String()
}

func same(i int) string { return fmt.Sprintf("line %d\n", i) }

func TestUnifiedIsWhatPatchTakes(t *testing.T) {
	before := numbered(60, same)
	cases := map[string]string{
		"one line changed":       strings.Replace(before, "line 30\n", "line thirty\n", 1),
		"first and last changed": "new\n" + strings.TrimSuffix(before, "line 59\n"),
		"two near, one far": numbered(60,
			func(i int) string { return map[bool]string{true: "x\n", false: same(i)}[i == 10 || i == 16 || i == 40] }),
		"gap of seven equal": numbered(60,
			func(i int) string { return map[bool]string{true: "", false: same(i)}[i == 10 || i == 18] }),
		"all gone":               "",
		"lines added at the end": before + "more\nand more\n",
	}
	for name, after := range cases {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := Write(&out, before, after, "a", "b", nil); err != nil {
				t.Fatal(err)
			}
			if got := patched(t, before, out.String()); got != after {
				t.Errorf("patched to\n%s\nwanted\n%s\nby\n%s", got, after, out.String())
			}
		})
	}
}

func TestUnifiedFromNothing(t *testing.T) {
	var out strings.Builder
	if err := Write(&out, "", "a\nb\n", "x", "y", nil); err != nil {
		t.Fatal(err)
	}
	if want := "--- x\n+++ y\n@@ -0,0 +1,2 @@\n+a\n+b\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestUnifiedOfEqualsIsEmpty(t *testing.T) {
	var out strings.Builder
	if err := Write(&out, "a\n", "a\n", "x", "y", nil); err != nil || out.Len() > 0 {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

// There are more lines than characters below the surrogates of UTF-16. No line may become half of a surrogate pair.
func TestUnifiedOfManyLines(t *testing.T) {
	before := numbered(70_000, same)
	after := strings.Replace(before, "line 69999\n", "line last\n", 1)
	var out strings.Builder
	if err := Write(&out, before, after, "a", "b", nil); err != nil {
		t.Fatal(err)
	}
	want := "@@ -69997,4 +69997,4 @@\n line 69996\n line 69997\n line 69998\n-line 69999\n+line last\n"
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("got %q", out.String())
	}
}

// BenchmarkUnified compares scripts of many lines, one of which has changed.
func BenchmarkUnified(b *testing.B) {
	for _, lines := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprintf("of %d lines", lines), func(b *testing.B) {
			before := numbered(lines, same)
			after := strings.Replace(before, "line 50\n", "line one\nline two\n", 1)
			for b.Loop() {
				if err := Write(io.Discard, before, after, "loaded", "farms", nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
