package source

import (
	"os"

	"farmc/compiler/farm"
)

const plain = "listen = '192.0.2.1:80'\nbackends.b1.address = '10.0.0.1'\n"

// dirAt returns a directory as the compiler takes it.
func dirAt(path string) farm.Dir { return farm.Dir{Path: path, FS: os.DirFS(path)} }
