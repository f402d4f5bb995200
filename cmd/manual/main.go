// Manual writes the manual pages farmc(1) and farms.d(5) from what is true anyway: what farmc says of its commands,
// and the reference of farms, whose keys a test holds to what farmc reads.
//
//	manual FARMC REFERENCE DIRECTORY
package main

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: manual FARMC REFERENCE DIRECTORY")
		os.Exit(2)
	}
	if err := manual(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		os.Exit(1)
	}
}

// pages are the parts that people wrote, with places for the rest.
//
//go:embed farmc.1 farms.d.5
var pages embed.FS

func manual(farmc, reference, dir string) error {
	verbs, err := readVerbs(func(args ...string) (string, error) { return help(farmc, args...) })
	if err != nil {
		return err
	}
	text, err := os.ReadFile(reference)
	if err != nil {
		return err
	}
	tables := readReference(string(text))
	return errors.Join(
		write(dir, "farmc.1", map[string]any{"Verbs": verbs, "Common": common(verbs)}),
		write(dir, "farms.d.5", map[string]any{"Tables": tables}))
}

// help is what farmc prints of itself here as on any machine.
func help(farmc string, args ...string) (string, error) {
	cmd := exec.Command(farmc, append([]string{"help"}, args...)...)
	cmd.Env = []string{}
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s help %s: %w", farmc, strings.Join(args, " "), err)
	}
	return string(out), nil
}

func write(dir, page string, about any) error {
	var out strings.Builder
	words := template.FuncMap{"roff": roff, "prose": prose}
	t := template.Must(template.New(page).Funcs(words).ParseFS(pages, page))
	if err := t.Execute(&out, about); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, page), []byte(out.String()), 0o644)
}
