package probe

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"farmc/compiler/farm"
)

func TestReasonsOfFiles(t *testing.T) {
	t.Parallel()
	const wrong = `file says neither "up" nor "down" nor 0 to 100`
	for _, tt := range []struct {
		content string
		want    Result
	}{
		{"", Result{Healthy: true, Percent: 100, Reason: "file is there"}},
		{" \n", Result{Healthy: true, Percent: 100, Reason: "file is there"}},
		{"up\n", Result{Healthy: true, Percent: 100, Reason: "file says up"}},
		{"down for maintenance\n", Result{Reason: "file says down"}},
		{"40", Result{Healthy: true, Percent: 40, Reason: "file says 40 percent"}},
		{" 0%\n", Result{Healthy: true, Percent: 0, Reason: "file says 0 percent"}},
		{"100", Result{Healthy: true, Percent: 100, Reason: "file says 100 percent"}},
		{"101", Result{Reason: wrong}},
		{"upper", Result{Reason: wrong}},
		{"-1", Result{Reason: wrong}},
		{"root:secret", Result{Reason: wrong}},
		{strings.Repeat(" ", maxFile) + "x", Result{Unknown: true, Reason: "file: more than 4096 bytes"}},
	} {
		path := filepath.Join(t.TempDir(), "b1")
		if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got := Run(t.Context(), target(somewhere, 0, a(farm.HealthFile, named(path))))
		got.Took = 0
		if got != tt.want {
			t.Errorf("%.20q: %+v, want %+v", tt.content, got, tt.want)
		}
	}
}

func named(path string) func(*farm.Health) { return func(h *farm.Health) { h.File = path } }

// A missing file is unhealthy. A file that is not a regular one is not waited for.
func TestOtherFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]Result{
		filepath.Join(dir, "none"):      {Reason: "no such file"},
		filepath.Join(dir, "none/none"): {Reason: "no such file"},
		pipe:                            {Unknown: true, Reason: "file: not a regular file"},
		dir:                             {Unknown: true, Reason: "file: not a regular file"},
	} {
		got := Run(t.Context(), target(somewhere, 0, a(farm.HealthFile, named(path))))
		got.Took = 0
		if got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
}
