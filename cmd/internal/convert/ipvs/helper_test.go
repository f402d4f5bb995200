package ipvs_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"farmc/cmd/internal/convert"
	"farmc/cmd/internal/convert/ipvs"
	"farmc/cmd/internal/convert/ipvsadm"
	"farmc/cmd/internal/convert/keepalived"
	"farmc/cmd/internal/edit"
	"farmc/compiler"
	"farmc/compiler/farm"
)

// services gives the services of farms, by their names, and the losses.
func services(t *testing.T, texts map[string]string) ([]ipvs.Service, *convert.Result) {
	t.Helper()
	files := fstest.MapFS{}
	for name, text := range texts {
		files[name+".toml"] = &fstest.MapFile{Data: []byte(text)}
	}
	script, told := compiler.Compile([]farm.Dir{{Path: "farms", FS: files}})
	if script == nil {
		t.Fatal(told)
	}
	r := &convert.Result{}
	var all []ipvs.Service
	for _, f := range script.Farms {
		document, faults := edit.Read([]byte(texts[f.Name]))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		all = append(all, ipvs.Export(r, f, document)...)
	}
	return all, r
}

// rules gives farms as rules of ipvsadm.
func rules(t *testing.T, texts map[string]string) string {
	t.Helper()
	all, r := services(t, texts)
	return ipvsadm.Export(r, all)
}

// exported gives one farm in both formats, and its losses.
func exported(t *testing.T, text string) (rules, conf, losses string) {
	t.Helper()
	all, r := services(t, map[string]string{"web": text})
	rules, conf = ipvsadm.Export(r, all), keepalived.Export(r, all)
	var out strings.Builder
	for _, l := range r.Losses {
		out.WriteString(l.String() + "\n")
	}
	return rules, conf, out.String()
}

// imported gives the farms of rules. All of them compile.
func imported(t *testing.T, rules string) map[string]string {
	t.Helper()
	r := ipvsadm.Import(convert.Input{Name: "rules", Text: []byte(rules), Interface: "eth0"})
	farms := map[string]string{}
	for _, f := range r.Finish() {
		name, whole := strings.CutSuffix(f.Name, ".toml")
		if !whole {
			t.Fatalf("%s: %v", f.Name, r.Losses)
		}
		farms[name] = string(f.Text)
	}
	return farms
}
