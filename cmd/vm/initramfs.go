package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// rootModules are the modules that the first process needs to mount the root, besides the ones they depend on.
var rootModules = []string{"virtio_pci", "9pnet_virtio", "9p", "overlay"}

// Files of the initramfs beside init.
const (
	moduleDir   = "modules"
	commandFile = "command"
)

// initramfs is the first root of the machine: this program as init, the modules of rootModules, and the command.
func initramfs(kernel debian, command []string) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var a archive
	for _, dir := range []string{"dev", "proc", "sys", "lower", "layer", "new", moduleDir} {
		a.add(dir, fs.ModeDir|0o755, nil)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		return nil, err
	}
	a.add("init", 0o755, program)
	modules, err := kernel.modules()
	if err != nil {
		return nil, err
	}
	for i, m := range modules {
		a.add(fmt.Sprintf("%s/%02d", moduleDir, i), 0o644, m)
	}
	words, err := json.Marshal(command)
	if err != nil {
		return nil, err
	}
	a.add(commandFile, 0o644, words)
	a.add("TRAILER!!!", 0, nil)
	return a.Bytes(), nil
}

// modules are the objects of rootModules and of the modules they depend on, in the order to insert them.
func (d debian) modules() (objects [][]byte, err error) {
	release, err := d.kernelRelease()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(string(d), "kernel/lib/modules", release)
	index, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, err
	}
	inserted := map[string]bool{}
	for _, path := range insertionOrder(string(index)) {
		if inserted[path] {
			continue
		}
		inserted[path] = true
		object, err := readModule(filepath.Join(dir, path))
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// insertionOrder lists the files of rootModules, each after the ones it depends on. A line of modules.dep is a file, a
// colon, and the files that it depends on, the last to insert first. Modules that are part of the kernel have no line.
func insertionOrder(index string) (paths []string) {
	for _, name := range rootModules {
		for line := range strings.Lines(index) {
			module, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
			if base, _, _ := strings.Cut(filepath.Base(module), "."); strings.ReplaceAll(base, "-", "_") != name {
				continue
			}
			before := strings.Fields(needs)
			for i := len(before) - 1; i >= 0; i-- {
				paths = append(paths, before[i])
			}
			paths = append(paths, module)
		}
	}
	return paths
}

// readModule reads a module. Debian 13 compresses them.
func readModule(path string) ([]byte, error) {
	if !strings.HasSuffix(path, ".xz") {
		return os.ReadFile(path)
	}
	object, err := exec.Command("xz", "--decompress", "--stdout", path).Output()
	if err != nil {
		return nil, fmt.Errorf("xz %s: %w", path, err)
	}
	return object, nil
}

// An archive is a cpio archive of the format newc, which the kernel unpacks (Documentation/driver-api/early-userspace/
// buffer-format.rst).
type archive struct {
	bytes.Buffer
	files int
}

func (a *archive) add(name string, mode fs.FileMode, content []byte) {
	kind := 0o100000
	if mode.IsDir() {
		kind = 0o040000
	}
	a.files++
	fmt.Fprintf(a, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00", a.files, kind|int(mode.Perm()),
		0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0, name)
	a.pad()
	a.Write(content)
	a.pad()
}

func (a *archive) pad() { a.Write(make([]byte, -a.Len()&3)) }
