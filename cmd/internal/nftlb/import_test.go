package nftlb

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"farmc/cmd/internal/convert"
	"farmc/cmd/internal/edit"
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
		})
	}
}

// Each loss has its line, and an unknown key is an error with its name.
func TestLosses(t *testing.T) {
	in := convert.Input{Name: "web.json", Text: []byte(`{"farms": [{
"name": "web", "virtual-addr": "192.0.2.1", "virtual-ports": "80",
"flow-offload": "on",
"persistence": "srcip", "persist-ttl": "0",
"backends": [{"name": "b1", "ip-addr": "10.0.0.1", "weight": "3000", "port": "80"},
{"name": "b2", "ip-addr": "10.0.0.2", "weight": "1500"}]}]}`)}
	r := Import(in)
	files := r.Finish()
	var losses []string
	for _, l := range r.Losses {
		losses = append(losses, l.String())
	}
	got := strings.Join(losses, "\n")
	for _, want := range []string{"web.json:3: farm web: flow-offload:", "web.json:4: farm web: persist-ttl:"} {
		if !strings.Contains(got, want) {
			t.Errorf("no loss %s in\n%s", want, got)
		}
	}
	text := string(files[0].Text)
	if !strings.Contains(text, "weight = 2\n") || strings.Contains(text, "port =") || !r.Matters() {
		t.Errorf("%v\n%s", r.Matters(), text)
	}
	in.Text = []byte(`{"farms": [{"name": "web", "colour": "red"}]}`)
	if r := Import(in); !r.Matters() || !strings.Contains(r.Losses[0].String(), "colour") {
		t.Errorf("%v", r.Losses)
	}
}

// An address with policies and without a farm becomes a farm in mode local, which filters.
func TestFiltersOfAddresses(t *testing.T) {
	r := Import(convert.Input{Name: "nftlb.json", Text: []byte(`{
"policies": [{"name": "bad", "elements": [{"data": "198.51.100.0/24"}]}, {"name": "good", "type": "whitelist"}],
"addresses": [{"name": "ssh", "ip-addr": "192.0.2.1", "ports": "22", "policies": [{"name": "good"}, {"name": "bad"}]},
{"name": "http", "ip-addr": "192.0.2.1", "ports": "80", "policies": [{"name": "good"}]},
{"name": "none", "ip-addr": "192.0.2.1", "ports": "81"}]}`)})
	files := r.Finish()
	if len(files) != 3 || files[0].Name != "ssh.toml" || r.Matters() {
		t.Fatalf("%s %v", files, r.Losses)
	}
	want := edit.Document{"mode": "local", "listen": "192.0.2.1:22",
		"access": map[string]any{"allow": []any{"@good"}, "deny": []any{"@bad"}}}
	if now, _ := edit.Read(files[0].Text); !reflect.DeepEqual(now, want) {
		t.Errorf("%v, want %v", now, want)
	}
	if len(r.Losses) != 1 || !strings.HasPrefix(r.Losses[0].String(), "nftlb.json:4: whitelists of address http") {
		t.Errorf("%v", r.Losses)
	}
}

// Packets to backends are not logged in modes without connection tracking, which is a note.
func TestLogOfOutput(t *testing.T) {
	for mode, losses := range map[string]int{"stlsdnat": 1, "snat": 0} {
		r := Import(convert.Input{Name: "nftlb.json", Text: []byte(`{"farms": [
{"name": "web", "virtual-addr": "192.0.2.1", "virtual-ports": "80", "scheduler": "hash", "mode": "` + mode + `",
"log": "input output", "backends": [{"name": "b1", "ip-addr": "10.2.0.1"}]}]}`)})
		if r.Finish(); len(r.Losses) != losses || losses > 0 && (r.Matters() || r.Losses[0].Line != 3) {
			t.Errorf("mode %s: %v", mode, r.Losses)
		}
	}
}

// Objects of different kinds with one name have lines of their own, and so have keys before a name.
func TestLinesOfNamesThatMeet(t *testing.T) {
	r := Import(convert.Input{Name: "nftlb.json", Text: []byte(`{"policies": [
{"name": "web", "log-prefix": "bad \"", "elements": [{"data": "10.0.0.0/8"}]},
{"timeout": "5", "name": "dns"}],
"farms": [
{"name": "web", "virtual-addr": "192.0.2.1", "virtual-ports": "80", "policies": [{"name": "web"}],
"log": "input", "log-prefix": "bad \"", "backends": [
{"name": "dns", "ip-addr": "10.2.0.2"},
{"name": "web", "ip-addr": "10.2.0.1",
"port": "http"}]}]}`)})
	files := r.Finish()
	var losses []string
	for _, l := range r.Losses {
		losses = append(losses, l.String())
	}
	got := strings.Join(losses, "\n")
	for _, want := range []string{"nftlb.json:3: timeout of policy dns", "nftlb.json:6: farm web: log-prefix:",
		"nftlb.json:9: farm web: backends.web.port: is no port, so no backend of the farm has one"} {
		if !strings.Contains(got, want) {
			t.Errorf("no loss %s in\n%s", want, got)
		}
	}
	for _, want := range []string{"# from nftlb.json:5:", "# nftlb.json:8: {\"name\": \"web\""} {
		if !strings.Contains(string(files[0].Text), want) {
			t.Errorf("no comment %s in\n%s", want, files[0].Text)
		}
	}
}

// A hand edit counts more than the annotation, which has no effect against it.
func TestHandEdits(t *testing.T) {
	s := (&State{}).Do(Request{Verb: "POST", Path: []string{"farms"}, Lenient: true, Body: []byte(`{"farms": [{"name":
		"web", "virtual-addr": "192.0.2.1", "virtual-ports": "80", "log-prefix": "FNAME ", "mode": "dsr",
		"iface": "eth0", "scheduler": "rr"}]}`)}).State
	d := s.Saved(s.Farms[0], MarksAsked)
	again := func() *Farm { return Files{Farms: map[string]edit.Document{"web": d}}.State().Farm("web") }
	if f := again(); f.Values["scheduler"] != "rr" || f.Values["log-prefix"] != "FNAME " {
		t.Errorf("%v", f.Values)
	}
	d["scheduler"] = "hash"
	if f := again(); f.Values["scheduler"] != "hash" || f.Values["mode"] != "dsr" {
		t.Errorf("after an edit: %v", f.Values)
	}
}

// A configuration that was imported is exported with the same meaning. Keys that nftlb does not have are named.
func TestExport(t *testing.T) {
	before := edit.Document{"mode": "dsr", "listen": "192.0.2.1:80", "interfaces": []any{"eth0"}, "state": "down",
		"access": map[string]any{"deny": []any{"@bad"}}, "backends": map[string]any{"b1": map[string]any{
			"address": "10.0.0.1", "mac": "02:00:00:00:00:01", "weight": int64(3)}}}
	in := Files{Farms: map[string]edit.Document{"web": before}, Lists: map[string][]byte{"bad": []byte("192.0.2.9\n")}}
	text, lost := in.Export()
	if len(lost) > 0 {
		t.Errorf("%v", lost)
	}
	r := Import(convert.Input{Name: "nftlb.json", Text: text})
	if now, _ := edit.Read(r.Finish()[0].Text); !reflect.DeepEqual(now, before) {
		t.Errorf("%v, want %v\n%s", now, before, text)
	}
	before["scheduler"], before["table-size"] = "maglev", int64(13)
	if _, lost := in.Export(); !slices.Equal(lost, []Lost{{"web", "scheduler"}, {"web", "table-size"}}) {
		t.Errorf("%v", lost)
	}
}

// Policies and backends whose names become legal stay apart from those that have these names already.
func TestNamesThatMeet(t *testing.T) {
	r := Import(convert.Input{Name: "nftlb.json", Text: []byte(`{"policies": [
{"name": "a b", "elements": [{"data": "10.9.0.1"}]}, {"name": "a-b", "elements": [{"data": "10.9.0.2"}]}],
"addresses": [{"name": "http", "ip-addr": "192.0.2.1", "ports": "80", "policies": [{"name": "a-b"}]}],
"farms": [{"name": "web", "addresses": [{"name": "http"}], "persistence": "srcip",
"policies": [{"name": "a b"}], "backends": [{"name": "a b", "ip-addr": "10.2.0.1"},
{"name": "a-b", "ip-addr": "10.2.0.2"}], "sessions": [{"client": "10.1.0.1", "backend": "a b"},
{"client": "10.1.0.2", "backend": "a-b"}]}]}`)})
	files := r.Finish()
	now, faults := edit.Read(files[0].Text)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want := edit.Document{"deny": []any{"@a-b", "@a-b-2"}}
	if got := now["access"]; !reflect.DeepEqual(got, map[string]any(want)) {
		t.Errorf("access: %v, want %v", got, want)
	}
	static := map[string]any{"10.1.0.1": "a-b", "10.1.0.2": "a-b-2"}
	if got := now["persistence"].(map[string]any)["static"]; !reflect.DeepEqual(got, static) {
		t.Errorf("static: %v, want %v", got, static)
	}
}

// A whitelist before a blacklist that only logs compiles.
func TestWhitelistOfALog(t *testing.T) {
	r := Import(convert.Input{Name: "nftlb.json", Text: []byte(`{"policies": [
{"name": "good", "type": "whitelist", "elements": [{"data": "10.0.0.1"}]},
{"name": "bad", "elements": [{"data": "10.0.0.0/8"}]}], "farms": [{"name": "web", "virtual-addr": "192.0.2.1",
"virtual-ports": "80", "verdict": "log", "policies": [{"name": "good"}, {"name": "bad"}]}]}`)})
	if files := r.Finish(); files[0].Name != "web.toml" {
		t.Errorf("%s: %v", files[0].Name, r.Losses)
	}
}

// A loss has its line in the object that it is about, and weights that are not exact are one.
func TestLinesOfFarms(t *testing.T) {
	in := Import(convert.Input{Name: "nftlb.json", Text: []byte(`{"farms": [
{"name": "one", "virtual-addr": "192.0.2.1", "virtual-ports": "80", "mode": "dsr", "backends": [
	{"name": "b1", "ip-addr": "10.2.0.1", "weight": "3000"},
	{"name": "b2", "ip-addr": "10.2.0.2", "weight": "7"}]},
{"name": "two", "virtual-addr": "192.0.2.2", "virtual-ports": "80", "mode": "dsr", "iface": "eth0"}]}`)})
	var losses []string
	for _, l := range in.Losses {
		losses = append(losses, l.String())
	}
	got := strings.Join(losses, "\n")
	for _, want := range []string{"nftlb.json:2: farm one: iface:",
		"nftlb.json:4: farm one: backends.b2.weight: becomes 2, and the largest weight 1000:"} {
		if !strings.Contains(got, want) {
			t.Errorf("no loss %s in\n%s", want, got)
		}
	}
}
