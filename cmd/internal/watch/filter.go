package watch

import (
	"path/filepath"
	"strings"
)

// dropIns says whether a directory of this name, next to the farm's file, holds drop-ins.
func dropIns(name string) bool {
	return strings.HasSuffix(name, ".toml.d") && !strings.HasPrefix(name, ".")
}

// leftovers are names of editors and packagers that never are a farm's.
var leftovers = []string{"*~", "#*#", "*.swp", "*.swx", "*.dpkg-*", ".*"}

// matters says whether something of this name can be part of a farm. Names that begin with two dots, as "..data",
// are what Kubernetes swaps to change all files of a volume at once.
func matters(name string) bool {
	if strings.HasPrefix(name, "..") {
		return true
	}
	for _, pattern := range leftovers {
		if match, _ := filepath.Match(pattern, name); match {
			return false
		}
	}
	return true
}
