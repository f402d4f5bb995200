package permission

import (
	"os"

	"farmc/compiler/farm"
)

const plain, untrustedFarm = "a farm", "a farm of another user"

// dirAt returns a directory as the compiler takes it.
func dirAt(path string) farm.Dir { return farm.Dir{Path: path, FS: os.DirFS(path)} }
