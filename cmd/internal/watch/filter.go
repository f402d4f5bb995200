package watch

import (
	"path/filepath"
	"strings"
)

// isDropInDir tells whether a directory of this name, next to the farm's file, holds drop-ins.
func isDropInDir(name string) bool {
	return strings.HasSuffix(name, ".toml.d") && !strings.HasPrefix(name, ".")
}

// ignored are the patterns of file names that editors and package managers use, and of farms that are not ready. No
// file of a farm has such a name.
var ignored = []string{"*~", "#*#", "*.swp", "*.swx", "*.dpkg-*", ".*", "*.incomplete"}

// relevant tells whether a file, directory or symlink of this name can be part of a farm. Kubernetes replaces a symlink
// named "..data" to change all files of a volume at once, so names that begin with two dots are relevant.
func relevant(name string) bool {
	if strings.HasPrefix(name, "..") {
		return true
	}
	for _, pattern := range ignored {
		if match, _ := filepath.Match(pattern, name); match {
			return false
		}
	}
	return true
}
