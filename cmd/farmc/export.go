package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"farmc/cmd/internal/convert"
	"farmc/cmd/internal/convert/ipvs"
	"farmc/cmd/internal/convert/ipvsadm"
	"farmc/cmd/internal/convert/keepalived"
	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/nftlb"
	"farmc/compiler/farm"
)

// An exporter writes farms for another program.
type exporter struct {
	to    string
	write func(*convert.Result, []exportedFarm) string
}

// An exportedFarm is a farm with the document of its files, which tells the keys that it sets.
type exportedFarm struct {
	*farm.Farm
	document edit.Document
}

// exporters are the programs that farmc export writes for.
func (c *call) exporters() []exporter {
	return []exporter{
		{"ipvsadm", func(r *convert.Result, farms []exportedFarm) string {
			return ipvsadm.Export(r, services(r, farms))
		}},
		{"keepalived", func(r *convert.Result, farms []exportedFarm) string {
			return keepalived.Export(r, services(r, farms))
		}},
		{"nftlb", c.exportNFTLB},
	}
}

// services gives the virtual services of farms.
func services(r *convert.Result, farms []exportedFarm) (all []ipvs.Service) {
	for _, f := range farms {
		all = append(all, ipvs.Export(r, f.Farm, f.document)...)
	}
	return all
}

// exportNFTLB writes farms and their lists as objects of nftlb.
func (c *call) exportNFTLB(r *convert.Result, farms []exportedFarm) string {
	files := nftlb.Files{Farms: map[string]edit.Document{}, Lists: map[string][]byte{}}
	for _, f := range farms {
		files.Farms[f.Name] = f.document
		c.readLists(f.Farm, files.Lists)
	}
	text, lost := files.Export()
	for _, l := range lost {
		r.Lose(convert.Place{File: l.Farm}, "nftlb has no "+l.Key+" as here", "")
	}
	return string(text)
}

// readLists reads the lists that a farm names. The last directory counts.
func (c *call) readLists(f *farm.Farm, into map[string][]byte) {
	for _, l := range f.Access.Lists() {
		for _, dir := range c.farmDirs() {
			if text, err := fs.ReadFile(dir.FS, l.Name+".list"); err == nil {
				into[l.Name] = text
			}
		}
	}
}

var exportVerb = verb{
	name:    "export",
	args:    "PROGRAM [FARM]",
	summary: "write the farms as another program's configuration",
	about: `Writes the configuration of another load balancer with the services of all farms, or of one. Each
key without a counterpart there is printed. If one of them changes how connections are served,
nothing is written, and the exit status is 1; --lossy accepts them.

Programs (see farmc-migration(7)):

    ipvsadm     rules for ipvsadm -R
    keepalived  virtual servers with their checks
    nftlb       farms, and lists as policies`,
	flags: func(c *call) {
		c.set.BoolVar(&c.imports.lossy, "lossy", false, "accept losses that change how connections are served")
	},
	run: runExport,
}

func (c *call) exportNames() []string {
	var names []string
	for _, e := range c.exporters() {
		names = append(names, e.to)
	}
	return names
}

func runExport(_ context.Context, c *call) int {
	if len(c.args) < 1 || len(c.args) > 2 {
		return c.usageError("export needs a program (%s), and takes a farm", strings.Join(c.exportNames(), ", "))
	}
	i := slices.IndexFunc(c.exporters(), func(e exporter) bool { return e.to == c.args[0] })
	if i < 0 {
		return c.usageError("export knows no program %q; it knows %s", c.args[0], strings.Join(c.exportNames(), ", "))
	}
	script, diagnostics := c.engine().Compile()
	if script == nil {
		c.printDiagnostics(diagnostics)
		c.log("%s", summary(diagnostics))
		return exitFailure
	}
	wanted := c.farmsToExport(script.Farms)
	if len(wanted) == 0 {
		c.printError(live.UnknownFarm(strings.Join(c.args[1:], ""), live.NamesOf(script.Farms)))
		return exitFailure
	}
	result := &convert.Result{}
	text := c.exporters()[i].write(result, wanted)
	if matter := c.printLosses(result); matter > 0 && !c.imports.lossy {
		c.log("%d of %d losses matter; --lossy accepts them", matter, len(result.Losses))
		return exitFailure
	}
	fmt.Fprint(c.stdout, text)
	return exitOK
}

// farmsToExport gives the farms of the command line with their documents.
func (c *call) farmsToExport(all []*farm.Farm) (wanted []exportedFarm) {
	for _, f := range all {
		if len(c.args) == 2 && f.Name != c.args[1] {
			continue
		}
		document := edit.Document{}
		if r := farm.ReadOne(c.farmDirs(), f.Name); r != nil && r.Document() != nil {
			document, _ = edit.Decode(bytes.NewReader(r.Document()))
		}
		wanted = append(wanted, exportedFarm{f, document})
	}
	return wanted
}

// printLosses prints the losses, and returns how many matter.
func (c *call) printLosses(result *convert.Result) (matter int) {
	for _, loss := range result.Losses {
		severity := "note"
		if loss.Matters {
			severity = "loss"
			matter++
		}
		fmt.Fprintf(c.stderr, "%s: %s\n", severity, loss)
	}
	return matter
}
