package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

var compileVerb = verb{
	name:    "compile",
	summary: "print the complete nft script",
	about: `Prints one script for all farms. It replaces any earlier rules of farmc:

    farmc compile | nft -f -`,
	flags: func(c *call) {
		c.set.BoolVar(&c.boot, "boot", false, "leave out rules that need a network interface, for use at boot")
		c.set.StringVarP(&c.output, "output", "o", "", "write to this `file`, atomically, instead of standard output")
	},
	run: func(_ context.Context, c *call) int {
		compile := c.engine().Compile
		if c.boot {
			compile = c.engine().CompileForBoot
		}
		script, diagnostics := compile()
		c.printDiagnostics(diagnostics)
		if script == nil {
			c.log("%s", summary(diagnostics))
			return exitFailure
		}
		if err := c.write(script.Text); err != nil {
			c.printError(err)
			return exitFailure
		}
		return exitOK
	},
}

// write writes the script to the output file or to stdout. A regular file is replaced atomically.
func (c *call) write(text []byte) error {
	if c.output == "" || c.output == "-" {
		_, err := c.stdout.Write(text)
		return err
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(c.output); err == nil {
		if !info.Mode().IsRegular() { // /dev/stdout, a FIFO
			return c.writeError(os.WriteFile(c.output, text, mode))
		}
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(c.output), "."+filepath.Base(c.output)+".*")
	if err != nil {
		return c.writeError(err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), c.output)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return c.writeError(err)
}

// writeError names the output file instead of the temporary one.
func (c *call) writeError(err error) error {
	if err == nil {
		return nil
	}
	if inner := (*fs.PathError)(nil); errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("write %s: %w", c.output, err)
}
