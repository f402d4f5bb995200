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
		c.resolveFlag()
	},
	run: func(ctx context.Context, c *call) int {
		e := c.engine()
		c.resolveHosts(ctx, e)
		compile := e.Compile
		if c.boot {
			compile = e.CompileForBoot
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
	if c.output == "" || c.output == "-" || isStdout(c.output) {
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
	path, err := filepath.EvalSymlinks(c.output) // a link stays
	if err != nil {
		path = c.output
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return c.writeError(err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return c.writeError(err)
}

// isStdout reports whether a path, such as /dev/stdout, is the file that standard output writes to. A rename would put
// a file in the place of /dev/stdout.
func isStdout(path string) bool {
	info, err := os.Stat(path)
	own, err2 := os.Stdout.Stat()
	return err == nil && err2 == nil && os.SameFile(info, own)
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
