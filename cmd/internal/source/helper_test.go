package source

import (
	"os"
	"path/filepath"
	"testing"

	"farmc/compiler/farm"
)

const plain = "listen = '192.0.2.1:80'\nbackends.b1.address = '10.0.0.1'\n"

// dirAt returns a directory as the compiler takes it.
func dirAt(path string) farm.Dir { return farm.Dir{Path: path, FS: os.DirFS(path)} }

func writeFiles(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
