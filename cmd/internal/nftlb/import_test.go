package nftlb

import (
	"os"
	"path/filepath"
	"testing"

	"farmc/cmd/internal/convert"
)

// TestConfigurations imports each configuration of a directory. All of it must compile.
func TestConfigurations(t *testing.T) {
	root := os.Getenv("NFTLB_CASES")
	if root == "" {
		t.Skip("NFTLB_CASES is not set")
	}
	files, _ := filepath.Glob(filepath.Join(root, "farms", "*.json"))
	if len(files) == 0 {
		t.Fatal("no configurations")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			in, err := convert.Open(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			in.Name = filepath.Base(file)
			r := Import(in)
			out := r.Finish()
			for _, l := range r.Losses {
				t.Log(l, l.Matters)
			}
			for _, f := range out {
				if filepath.Ext(f.Name) == ".incomplete" {
					t.Errorf("%s\n%s", f.Name, f.Text)
				}
			}
			if dir := os.Getenv("NFTLB_OUT"); dir != "" {
				if err := convert.Write(filepath.Join(dir, in.Name), out); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
