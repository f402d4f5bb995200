package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/live"
)

func TestFarm(t *testing.T) {
	s := start(t, siteFiles)
	web, x := s.get(t, "/v1/farms/web")
	want := `{"backends":{"b1":{"address":"10.0.0.11","state":"drain","weight":3},"b2":{"address":"10.0.0.12"}},` +
		`"listen":"192.0.2.10:80","state":"down"}`
	if got, _ := json.Marshal(web["farm"]); string(got) != want {
		t.Errorf("the farm is %s, want %s", got, want)
	}
	sources := fmt.Sprint(web["sources"])
	if !strings.Contains(sources, "/web.toml ") || !strings.Contains(sources, "/web.toml.d/50.toml]") {
		t.Errorf("the sources are %s", sources)
	}
	if web["loaded"] != false || web["status"] != nil || web["name"] != "web" || len(web["faults"].([]any)) != 0 {
		t.Errorf("the answer is %s", x.answer)
	}
}

func TestFarmETag(t *testing.T) {
	s := start(t, siteFiles)
	_, x := s.get(t, "/v1/farms/web")
	tag := x.got.Get("ETag")
	for header, want := range map[string]int{tag: 304, "W/" + tag: 304, `"other", ` + tag: 304, "*": 304,
		`"other"`: 200} {
		x := s.do(t, exchange{key: "reader", path: "/v1/farms/web", header: map[string]string{"If-None-Match": header}})
		if x.status != want || x.got.Get("ETag") != tag {
			t.Errorf("If-None-Match: %s: %d, ETag %s", header, x.status, x.got.Get("ETag"))
		}
	}
	_, mail := s.get(t, "/v1/farms/mail")
	changed := start(t, map[string]string{"web.toml": strings.Replace(webFarm, "3", "4", 1)})
	_, other := changed.get(t, "/v1/farms/web")
	if tag == "" || tag == mail.got.Get("ETag") || tag == other.got.Get("ETag") {
		t.Errorf("the ETags are %s, %s, %s", tag, mail.got.Get("ETag"), other.got.Get("ETag"))
	}
}

func TestFarmsETag(t *testing.T) {
	s := start(t, siteFiles)
	tags := map[string]string{}
	for _, path := range []string{"/v1/farms", "/v1/farms?select=name"} {
		_, x := s.get(t, path)
		tags[path] = x.got.Get("ETag")
		for header, want := range map[string]int{tags[path]: 304, `"other"`: 200} {
			x := s.do(t, exchange{key: "reader", path: path, header: map[string]string{"If-None-Match": header}})
			if x.status != want || x.got.Get("ETag") != tags[path] {
				t.Errorf("%s with If-None-Match: %s: %d, ETag %s", path, header, x.status, x.got.Get("ETag"))
			}
		}
	}
	_, changed := start(t, map[string]string{"web.toml": strings.Replace(webFarm, "3", "4", 1)}).get(t, "/v1/farms")
	if tags["/v1/farms"] == tags["/v1/farms?select=name"] || tags["/v1/farms"] == changed.got.Get("ETag") {
		t.Errorf("the ETags are %s, and %s after a change", tags, changed.got.Get("ETag"))
	}
}

func TestBackend(t *testing.T) {
	s := start(t, siteFiles)
	b, x := s.get(t, "/v1/farms/web/backends/b1")
	if at(b, "backend", "state") != "drain" || b["name"] != "b1" || x.got.Get("ETag") == "" {
		t.Errorf("the answer is %s", x.answer)
	}
	for _, path := range []string{"/v1/farms/web/backends/b9", "/v1/farms/none/backends/b1", "/v1/farms/none"} {
		if x := s.do(t, exchange{key: "reader", path: path}); x.status != 404 {
			t.Errorf("%s: %d", path, x.status)
		}
	}
}

// busyKernel has farms whose numbers the kernel does not tell as long as a load occupies it.
type busyKernel struct{ Farms }

func (busyKernel) FarmStatus(ctx context.Context, _ string) (live.FarmStatus, error) {
	select {
	case <-ctx.Done():
		return live.FarmStatus{}, context.Cause(ctx)
	case <-time.After(10 * time.Second):
		return live.FarmStatus{}, errors.New("the request waited for the kernel")
	}
}

// The keys of a farm and of a backend do not wait for the end of a load.
func TestFarmDuringALoad(t *testing.T) {
	s := start(t, siteFiles)
	s.Farms = busyKernel{s.Farms}
	for _, path := range []string{"/v1/farms/web", "/v1/farms/web/backends/b1"} {
		if f, x := s.get(t, path); f["status"] != nil || f["farm"] == nil && f["backend"] == nil {
			t.Errorf("%s: %s", path, x.answer)
		}
	}
}

func TestFarmsWithFaults(t *testing.T) {
	s := start(t, map[string]string{
		"web.toml":  strings.Replace(webFarm, "weight = 3", "weight = 3000", 1),
		"odd.toml":  "listen = ",
		"mail.toml": siteFiles["mail.toml"],
	})
	web, _ := s.get(t, "/v1/farms/web")
	f := web["faults"].([]any)[0].(map[string]any)
	if f["farm"] != "web" || f["key"] != "backends.b1.weight" || f["line"] != 5.0 || f["column"] != 10.0 ||
		!strings.HasSuffix(f["file"].(string), "/web.toml") || f["message"] == "" {
		t.Errorf("the fault is %v", f)
	}
	odd, _ := s.get(t, "/v1/farms/odd")
	if odd["farm"] != nil || len(odd["faults"].([]any)) != 1 {
		t.Errorf("the farm that is not TOML is %v", odd)
	}
	for _, path := range []string{"/v1/script", "/v1/diff"} {
		x := s.do(t, exchange{key: "reader", path: path})
		if x.status != 409 || strings.Count(x.answer, `"message"`) != 2 {
			t.Errorf("%s of files with two faults: %d %s", path, x.status, x.answer)
		}
	}
}

func TestListFarms(t *testing.T) {
	s := start(t, siteFiles)
	all, _ := s.get(t, "/v1/farms")
	list := all["farms"].([]any)
	if len(list) != 2 || at(list[0], "name") != "mail" || at(list[1], "farm", "backends", "b1", "weight") != 3.0 {
		t.Errorf("the farms are %v", all)
	}
	some, _ := s.get(t, "/v1/farms?select=name,state")
	want := []any{map[string]any{"name": "mail"}, map[string]any{"name": "web", "state": "down"}}
	if !reflect.DeepEqual(some["farms"], want) {
		t.Errorf("the selection is %v, want %v", some["farms"], want)
	}
	none := start(t, map[string]string{})
	if got, _ := none.get(t, "/v1/farms"); len(got["farms"].([]any)) != 0 {
		t.Errorf("without farms: %v", got)
	}
	for _, bad := range []string{"nme", "", "name,", "backends.b1"} {
		x := s.do(t, exchange{key: "reader", path: "/v1/farms?select=" + bad})
		if x.status != 400 || !strings.Contains(x.answer, "select takes name, farm") {
			t.Errorf("select=%s: %d %s", bad, x.status, x.answer)
		}
	}
}

func TestScript(t *testing.T) {
	s := start(t, siteFiles)
	x := s.do(t, exchange{key: "reader", path: "/v1/script"})
	if x.status != 200 || !strings.Contains(x.answer, "table inet farmc") || x.got.Get("ETag") == "" ||
		!strings.HasPrefix(x.got.Get("Content-Type"), "text/plain") {
		t.Errorf("%d %v", x.status, x.got)
	}
}

func TestLists(t *testing.T) {
	s := start(t, siteFiles)
	all, _ := s.get(t, "/v1/lists")
	if fmt.Sprint(all["lists"]) != "[bad]" {
		t.Errorf("the lists are %v", all)
	}
	bad, _ := s.get(t, "/v1/lists/bad")
	if fmt.Sprint(bad["entries"]) != "[198.51.100.0/24 203.0.113.9]" || bad["name"] != "bad" {
		t.Errorf("the list is %v", bad)
	}
	text := s.do(t, exchange{key: "reader", path: "/v1/lists/bad", header: map[string]string{"Accept": "text/plain"}})
	if text.answer != siteFiles["bad.list"] {
		t.Errorf("the text is %q", text.answer)
	}
	for _, path := range []string{"/v1/lists/web", "/v1/lists/good"} {
		if x := s.do(t, exchange{key: "reader", path: path}); x.status != 404 {
			t.Errorf("%s: %d", path, x.status)
		}
	}
}

func TestCheckFindsAllFaults(t *testing.T) {
	s := start(t, siteFiles)
	x := s.do(t, exchange{key: "reader", method: "POST", path: "/v1/check", body: `{"farms": {
		"web": {"listen": "192.0.2.11:25", "backends": {"b1": {"adress": "10.0.0.11"}}},
		"new": {"listen": "192.0.2.12:80", "hash-on": ["source-adress"], "limits": {"new": {"rate": "many"}}}}}`})
	var got struct {
		Faults []struct{ Farm, Key, File, Message string }
	}
	if err := json.Unmarshal([]byte(x.answer), &got); err != nil || x.status != 400 {
		t.Fatalf("%d %s", x.status, x.answer)
	}
	keys := map[string]bool{}
	for _, f := range got.Faults {
		keys[f.Farm+" "+f.Key] = true
		if f.Message == "" || strings.Contains(f.File, "request") {
			t.Errorf("a fault is %+v", f)
		}
	}
	for _, want := range []string{"web backends.b1.adress", "new hash-on", "new limits.new.rate"} {
		if !keys[want] {
			t.Errorf("no fault at %s: %s", want, x.answer)
		}
	}
}

func TestCheckRefusesDocuments(t *testing.T) {
	s := start(t, siteFiles)
	for rule, body := range map[string]string{
		"no farms":              `{}`,
		"a list of farms":       `{"farms": []}`,
		"another key":           `{"farms": {}, "x": 1}`,
		"a farm that is a list": `{"farms": {"web": []}}`,
		"a name with a path":    `{"farms": {"../../etc/passwd": {}}}`,
		"a name with a line":    `{"farms": {"web\nx": {}}}`,
		"an empty name":         `{"farms": {"": {}}}`,
		"null as a value":       `{"farms": {"web": {"listen": null}}}`,
		"a huge number":         `{"farms": {"web": {"listen": 1e999}}}`,
	} {
		x := s.do(t, exchange{key: "reader", method: "POST", path: "/v1/check", body: body})
		if x.status != 400 {
			t.Errorf("%s: %d %s", rule, x.status, x.answer)
		}
	}
}

func TestCheckAcceptsFarms(t *testing.T) {
	s := start(t, siteFiles)
	x := s.do(t, exchange{key: "reader", method: "POST", path: "/v1/check", body: `{"farms": {"mail": null,
		"new": {"listen": ["192.0.2.11:25", "[2001:db8::1]:25"], "limits": {"new": {"rate": "5/second", "burst": 2}},
		"persistence": {"static": {"198.51.100.7": "b1"}}, "local-clients": false,
		"backends": {"b1": {"address": ["10.0.0.1", "fd00::1"], "weight": 7}}}}}`})
	if x.status != 200 || !strings.Contains(x.answer, `"faults":[]`) || !strings.Contains(x.answer, "new: new") {
		t.Errorf("%d %s", x.status, x.answer)
	}
	x = s.do(t, exchange{key: "reader", method: "POST", path: "/v1/check", body: `{"farms": {"web": null}}`})
	if x.status != 200 {
		t.Errorf("a removal: %d %s", x.status, x.answer)
	}
}

// Texts of clients stay texts: each of these is a fault of its key, and none becomes a part of the script.
func TestCheckInjections(t *testing.T) {
	s := start(t, siteFiles)
	const base = `"listen": "192.0.2.12:80", "backends": {"b1": {"address": "10.0.0.1"%s}}`
	for _, text := range []string{"\"\n[backends.evil]\naddress = \"10.0.0.66\"\n#", "'\n'", "\"\"\"", "x\x00y", "\"",
		"eth0\" ; add table evil", "$(id)\n", "`id`\n", "\x1b[31m", ";\n\ntable inet evil", "\u202e", "@bad\n"} {
		for _, shape := range []string{
			`{` + fmt.Sprintf(base, "") + `, "interfaces": [%s]}`,
			`{` + fmt.Sprintf(base, "") + `, "log": {"on": ["input"], "prefix": %s}}`,
			`{` + fmt.Sprintf(base, "") + `, %s: 1}`,
			`{` + fmt.Sprintf(base, "") + `, "helper": %s}`,
			`{` + fmt.Sprintf(base, "") + `, "access": {"deny": [%s]}}`,
			`{` + fmt.Sprintf(base, `, "state": %s`) + `}`,
			`{"listen": %s, "backends": {"b1": {"address": "10.0.0.1"}}}`,
			`{"listen": "192.0.2.12:80", "backends": {%s: {"address": "10.0.0.1"}}}`,
		} {
			quoted, _ := json.Marshal(text)
			body := `{"farms": {"new": ` + fmt.Sprintf(shape, quoted) + `}}`
			x := s.do(t, exchange{key: "reader", method: "POST", path: "/v1/check", body: body})
			if x.status != 400 || strings.Count(x.answer, `"farm":`) != 1 {
				t.Errorf("%s: %d %s", body, x.status, x.answer)
			}
			if strings.ContainsAny(x.answer, "\x00\x1b") {
				t.Errorf("%s: the answer is %q", body, x.answer)
			}
		}
	}
}
