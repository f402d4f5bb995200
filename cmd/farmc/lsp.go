package main

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/lsp"
	"farmc/compiler/farm"
)

var lspVerb = verb{
	name:    "lsp",
	summary: "serve an editor of farm files (language server)",
	about: `Speaks the Language Server Protocol on standard input and output: an editor shows faults and
warnings while a farm is written, also conflicts with the other farms of its directory, completes
keys and values, explains them, and lays a farm out as farmc fmt does. farmc(1), EDITORS, has the
settings of editors. It changes no file, loads nothing, and does not ask the kernel.

Exit status: 0 after shutdown and exit, else 1.`,
	run: func(_ context.Context, c *call) int {
		options := lsp.Options{Dirs: c.editedDirs(), Version: version}
		if err := lsp.Serve(os.Stdin, keptOpen{c.stdout}, options); err != nil {
			c.printError(err)
			return exitFailure
		}
		return exitOK
	},
}

// keptOpen is standard output, which stays open until the process ends.
type keptOpen struct{ io.Writer }

func (keptOpen) Close() error { return nil }

// editedDirs returns the directories of farms by their full paths, and the answers of DNS for the hostnames in farms.
func (c *call) editedDirs() []farm.Dir {
	dirs := c.farmDirs()
	for i := range dirs {
		dirs[i].Optional = true // an editor may be there first
		if path, err := filepath.Abs(dirs[i].Path); err == nil {
			dirs[i].Path, dirs[i].FS = path, live.Dir(path).FS
		}
	}
	answers := live.Dir(c.stateDir)
	answers.Optional, answers.Answers = true, true
	return append(dirs, answers)
}
