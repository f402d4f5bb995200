package compiler_test

import (
	"fmt"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
	"farmc/compiler/reload"
)

// tenEach are so many farms of ten backends, as plain as most are.
func tenEach(farms int) fstest.MapFS {
	files := fstest.MapFS{}
	for n := range farms {
		files[fmt.Sprintf("farm-%05d.toml", n)] = &fstest.MapFile{Data: plainFarm(n, 1), Mode: 0o644}
	}
	return files
}

// plainFarm is the nth of them, with the weight of its first backend.
func plainFarm(n, weight int) []byte {
	text := fmt.Appendf(nil, "mode   = \"dnat\"\nlisten = \"192.%d.%d.%d:80/tcp\"\n", n>>16&255, n>>8&255, n&255)
	for b := range 10 {
		text = fmt.Appendf(
			text,
			"\n[backends.b%d]\naddress = \"10.%d.%d.%d\"\nport    = 8080\n",
			b+1,
			b,
			n>>8&255,
			n&255,
		)
		if b == 0 && weight != 1 {
			text = fmt.Appendf(text, "weight  = %d\n", weight)
		}
	}
	return text
}

func BenchmarkCompile(b *testing.B) {
	for _, farms := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("%d farms of 10", farms), func(b *testing.B) {
			dirs := []farm.Dir{{Path: "farms.d", FS: tenEach(farms)}}
			b.ReportAllocs()
			for b.Loop() {
				if _, told := compiler.Compile(dirs); told.Faulty() {
					b.Fatal(told)
				}
			}
		})
	}
}

func BenchmarkCompileAfterAChange(b *testing.B) {
	inherited := []byte("[health]\ntype = \"tcp\"\n") // makes no rules
	for _, c := range []struct {
		farms    int
		defaults []byte // nil: none
	}{{100, nil}, {10_000, nil}, {10_000, inherited}} {
		name := fmt.Sprintf("of one of %d farms of 10", c.farms)
		if c.defaults != nil {
			name += " with defaults"
		}
		b.Run(name, func(b *testing.B) {
			files := tenEach(c.farms)
			if c.defaults != nil {
				files[farm.DefaultsFile] = &fstest.MapFile{Data: c.defaults, Mode: 0o644}
			}
			dirs, none := []farm.Dir{{Path: "farms.d", FS: files}}, func(string) bool { return false }
			var m compiler.Compiler
			m.Compile(dirs, none)
			weight := 2
			b.ReportAllocs()
			for b.Loop() {
				files["farm-00007.toml"] = &fstest.MapFile{Data: plainFarm(7, weight), Mode: 0o644}
				weight = weight%9 + 1
				if _, told := m.Compile(dirs, none); told.Faulty() {
					b.Fatal(told)
				}
			}
		})
	}
}

// BenchmarkReload makes the reload from the loaded script to that of the files, after a change of one farm.
func BenchmarkReload(b *testing.B) {
	for _, farms := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("of one of %d farms of 10", farms), func(b *testing.B) {
			files := tenEach(farms)
			before := compilertest.Compiled(b, farm.Dir{FS: files})
			files["farm-00000.toml"].Data = plainFarm(0, 2)
			after := compilertest.Compiled(b, farm.Dir{FS: files})
			b.ReportAllocs()
			for b.Loop() {
				r, err := reload.New(before.Text, after)
				if err != nil {
					b.Fatal(err)
				}
				if r.Script(nil) == nil {
					b.Fatal("no script")
				}
			}
		})
	}
}
