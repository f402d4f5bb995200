package farm

import (
	"fmt"
	"testing"
	"testing/fstest"

	"farmc/compiler/diag"
)

const readingFile = `listen = "192.0.2.10:80"
[backends.b1]
address = "10.0.0.1"
weight  = 2000
`

func TestReadings(t *testing.T) {
	files := fstest.MapFS{
		"web.toml":            {Data: []byte(readingFile), Mode: 0o644},
		"web.toml.d/50.toml":  {Data: []byte("backends.b1.state = \"drain\"\n"), Mode: 0o644},
		"bad.toml":            {Data: []byte("listen ="), Mode: 0o644},
		"all.toml":            {Data: []byte("listen = \"192.0.2.11:80\"\n[backends]\n"), Mode: 0o644},
		"all.toml.d/bad.toml": {Data: []byte("a ="), Mode: 0o644},
	}
	var c Cache
	var told diag.Diagnostics
	c.Read([]Dir{{Path: "d", FS: files}}, &told)
	all := c.Readings()
	if len(all) != 3 || all[0].Name() != "all" || all[1].Name() != "bad" || all[2].Name() != "web" {
		t.Fatalf("%d readings", len(all))
	}
	web := all[2]
	want := `{"backends":{"b1":{"address":"10.0.0.1","state":"drain","weight":2000}},"listen":"192.0.2.10:80"}`
	if got := string(web.Document()); got != want {
		t.Errorf("the document is %s, want %s", got, want)
	}
	if got := fmt.Sprint(web.Sources()); got != "[d/web.toml d/web.toml.d/50.toml]" {
		t.Errorf("the sources are %s", got)
	}
	if len(web.Faults()) != 1 || web.KeyAt(web.Faults()[0].Place) != "backends.b1.weight" {
		t.Errorf("the faults are %v", web.Faults())
	}
	if got := web.KeyAt(diag.Place{File: "d/web.toml.d/50.toml", Line: 1, Column: 1}); got != "backends.b1.state" {
		t.Errorf("the key of the drop-in is %q", got)
	}
	if all[1].Document() != nil || all[1].Farm() != nil || all[0].Document() == nil {
		t.Errorf("a file that is not TOML has a document: %s", all[1].Document())
	}
	one := ReadOne([]Dir{{Path: "d", FS: files}}, "web")
	if one == nil || string(one.Document()) != want || fmt.Sprint(one.Sources()) != fmt.Sprint(web.Sources()) {
		t.Errorf("ReadOne gives %v", one)
	}
	if none := ReadOne([]Dir{{Path: "d", FS: files}}, "none"); none != nil {
		t.Errorf("ReadOne gives %v for no farm", none)
	}
	c.Read([]Dir{{Path: "d", FS: files}}, &told)
	if again := c.Readings(); again[2] != web {
		t.Error("a farm that did not change is read again")
	}
}
