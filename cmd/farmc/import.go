package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"farmc/cmd/internal/convert"
	"farmc/cmd/internal/convert/haproxy"
	"farmc/cmd/internal/convert/ipvsadm"
	"farmc/cmd/internal/convert/keepalived"
	"farmc/cmd/internal/nftlb"
)

// An importer reads the configuration of another program.
type importer struct {
	from string
	read func(convert.Input) *convert.Result
}

// importers are the programs that farmc import reads configurations of.
func importers() []importer {
	return []importer{{"ipvsadm", ipvsadm.Import}, {"keepalived", keepalived.Import},
		{"haproxy", haproxy.Import}, {"nftlb", nftlb.Import}}
}

// importOptions are the options of import.
type importOptions struct {
	out   string
	lossy bool
	iface string
	marks string
	id    string
}

var importVerb = verb{
	name:    "import",
	args:    "PROGRAM FILE|-",
	summary: "make farms of another program's configuration",
	about: `Reads the configuration of another load balancer, and writes a farm file for each of its services
into the directory --out, which must be new or empty. Comments name the lines that keys come from.
The farms compile; a farm that lacks something gets the name NAME.toml.incomplete. Nothing is loaded.

Each directive that farmc cannot keep is printed with its line and a remedy. If one of them changes
how connections are served, nothing is written, and the exit status is 1; --lossy accepts them.
Without --out, import writes nothing and prints the losses alone.

Programs, with the text that is read (see farmc-migration(7)):

    ipvsadm     what ipvsadm -S -n prints
    keepalived  keepalived.conf, with the files that it includes
    haproxy     haproxy.cfg: the proxies with mode tcp
    nftlb       a configuration, or what GET /farms and GET /policies of its API print`,
	bare: true,
	flags: func(c *call) {
		c.set.StringVar(&c.imports.out, "out", "", "new `directory` for the farms")
		c.set.BoolVar(&c.imports.lossy, "lossy", false, "accept losses that change how connections are served")
		c.set.StringVar(&c.imports.iface, "interface", "", "`interface` that clients arrive at, for farms in mode dsr")
		c.set.StringVar(&c.imports.marks, "marks", "",
			"`keep|drop` the marks of nftlb (default: keep, unless all of them\n"+
				"are those that nftlb numbers itself)")
		c.set.StringVar(&c.imports.id, "config-id", "",
			"the config-`id` of keepalived, for lines that begin with @ID (default: the name of this\nmachine)")
	},
	run: runImport,
}

func runImport(_ context.Context, c *call) int {
	if len(c.args) != 2 {
		return c.usageError("import needs a program (%s) and a file, or - for standard input",
			strings.Join(importNames(), ", "))
	}
	if m := c.imports.marks; m != "" && m != "keep" && m != "drop" {
		return c.usageError("--marks takes keep or drop, not %q", m)
	}
	i := slices.IndexFunc(importers(), func(i importer) bool { return i.from == c.args[0] })
	if i < 0 {
		return c.usageError("import knows no program %q; it knows %s", c.args[0], strings.Join(importNames(), ", "))
	}
	in, err := convert.Open(c.args[1], os.Stdin)
	if err != nil {
		c.printError(err)
		return exitFailure
	}
	in.Interface, in.Marks, in.ConfigID = c.imports.iface, c.imports.marks, c.imports.configID()
	result := importers()[i].read(in)
	return c.writeImport(in.Name, result)
}

// configID gives the config-id of keepalived: by default the name of the machine without its domain.
func (o importOptions) configID() string {
	if o.id != "" {
		return o.id
	}
	host, _ := os.Hostname() // without a name no condition holds
	name, _, _ := strings.Cut(host, ".")
	return name
}

func importNames() []string {
	var names []string
	for _, i := range importers() {
		names = append(names, i.from)
	}
	return names
}

// writeImport prints the losses, and writes the files if the losses allow it.
func (c *call) writeImport(from string, result *convert.Result) int {
	files := result.Finish()
	matter := c.printLosses(result)
	refused := matter > 0 && !c.imports.lossy
	switch {
	case refused:
		c.log("%d of %d losses matter; --lossy accepts them", matter, len(result.Losses))
		return exitFailure
	case len(files) == 0 && !result.Empty:
		c.log("%s has no service to import", from)
		return exitFailure
	case c.imports.out == "":
		c.log("%s; --out DIRECTORY writes them", writtenFarms(files))
		return exitOK
	}
	if err := convert.Write(c.imports.out, files); err != nil {
		c.printError(err)
		return exitFailure
	}
	return c.reportImport(files)
}

// reportImport prints the names of the files.
func (c *call) reportImport(files []convert.File) int {
	for _, f := range files {
		fmt.Fprintln(c.stdout, oneLine(filepath.Join(c.imports.out, f.Name)))
	}
	c.log("%s written; next: farmc check --dir %s", writtenFarms(files), c.imports.out)
	return exitOK
}

// writtenFarms says how many farms files have.
func writtenFarms(files []convert.File) string {
	whole, incomplete := 0, 0
	for _, f := range files {
		switch filepath.Ext(f.Name) {
		case ".toml":
			whole++
		case ".incomplete":
			incomplete++
		}
	}
	if incomplete > 0 {
		return fmt.Sprintf("%s and %d incomplete", farms(whole), incomplete)
	}
	return farms(whole)
}
