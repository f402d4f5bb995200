package source

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"farmc/cmd/internal/testmachine"
	"farmc/compiler"
	"farmc/compiler/farm"
)

// Source files compile to the same script after they were packed and unpacked.
func TestSources(t *testing.T) {
	root := t.TempDir()
	testmachine.Write(t, root, map[string]string{
		"etc/web.toml":              plain,
		"etc/mail.toml":             "listen = '192.0.2.2:25'\nbackends.b1.address = '10.0.0.1'\n",
		"etc/gone.toml":             "not TOML",
		"etc/office.list":           "198.51.100.0/24\nno network",
		"run/web.toml.d/drain.toml": "backends.b1.state = 'drain'",
		"run/orphan.toml.d/x.toml":  "",
	})
	if err := os.Symlink("/dev/null", filepath.Join(root, "run/gone.toml")); err != nil {
		t.Fatal(err)
	}
	dirs := []farm.Dir{dirAt(filepath.Join(root, "etc")), dirAt(filepath.Join(root, "run"))}
	dirs[0].Lenient = true
	var s Files
	script, diagnostics := compiler.Compile(s.Cached(dirs, nil, time.Now()))
	if diagnostics.Faulty() {
		t.Fatal(diagnostics)
	}
	again, digest, err := Unpack(s.Pack(script.Digest))
	if err != nil || digest != script.Digest {
		t.Fatalf("unpacked for %s: %v", digest, err)
	}
	if again.Digest() != s.Digest() {
		t.Error("what was unpacked are other files")
	}
	once, diagnostics := compiler.Compile(again.Dirs())
	if once == nil || once.Digest != script.Digest {
		t.Fatalf("compiles to something else; %v", diagnostics)
	}
	testmachine.Write(t, root, map[string]string{"etc/web.toml": "# edited\n" + plain})
	var edited Files
	compiler.Compile(edited.Cached(dirs, nil, time.Now()))
	if edited.Digest() == s.Digest() {
		t.Error("an edited file makes no difference")
	}
}

func TestNoSources(t *testing.T) {
	var s Files
	script, _ := compiler.Compile(s.Cached([]farm.Dir{dirAt(t.TempDir())}, nil, time.Now()))
	again, diagnostics := compiler.Compile(s.Dirs())
	if again == nil || again.Digest != script.Digest {
		t.Fatal(diagnostics)
	}
	if _, _, err := Unpack([]byte("rubbish")); err == nil {
		t.Error("rubbish is unpacked")
	}
}
