package compiler_test

import (
	"bytes"
	"testing"

	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/internal/compilertest"
)

// TestGolden compiles the cases in golden/, each named for the rule that it holds: a directory of farms, lists and
// drop-ins with the script.nft or the diagnostics.txt that they make (both, if all that is told are warnings). Where
// a rule is about several --dir, the case holds them as directories 1, 2, ..., from low to high precedence.
func TestGolden(t *testing.T) {
	for _, name := range compilertest.Cases(t) {
		t.Run(name, func(t *testing.T) {
			script, told := compiler.Compile(compilertest.CaseDirs(t, name))
			var said bytes.Buffer
			told.Print(&said, diag.Palette{})
			var text []byte
			if script != nil {
				text = script.Text
			}
			compilertest.Golden(t, name, "script.nft", text)
			compilertest.Golden(t, name, "diagnostics.txt", said.Bytes())
		})
	}
}

// TestGoldenForms reads every golden script by the grammar that keeps strangers' statements out.
func TestGoldenForms(t *testing.T) {
	for _, s := range compilertest.GoldenScripts(t) {
		if _, err := compilertest.ReadScript(string(s.Text)); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
}
