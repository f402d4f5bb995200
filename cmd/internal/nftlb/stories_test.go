package nftlb

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"farmc/cmd/internal/edit"
)

// A step is a request of a story, with the answer of nftlb.
type step struct {
	name, verb, uri, body string
	reply, listing        string
}

var assignment = regexp.MustCompile(`(?m)^(\w+)="?([^"\n]*)"?`)

// storiesOf reads the steps of stories below a directory: STORY/STEP/*.api, the body, req.out and obj.out.
func storiesOf(t *testing.T, root string) map[string][]step {
	t.Helper()
	stories, env := map[string][]step{}, map[string]string{}
	dirs, _ := filepath.Glob(filepath.Join(root, "*", "*"))
	for _, dir := range dirs {
		calls, _ := filepath.Glob(filepath.Join(dir, "*.api"))
		if len(calls) == 0 {
			continue
		}
		for _, m := range assignment.FindAllStringSubmatch(read(filepath.Join(calls[0])), -1) {
			env[m[1]] = m[2]
		}
		s := step{name: filepath.Base(dir), verb: env["VERB"], uri: env["URI"],
			reply: read(filepath.Join(dir, "req.out")), listing: read(filepath.Join(dir, "obj.out"))}
		if s.verb != "GET" && env["FILE"] != "" {
			s.body = strings.NewReplacer("\r", "", "\n", "").Replace(read(filepath.Join(dir, env["FILE"])))
		}
		story := filepath.Base(filepath.Dir(dir))
		stories[story] = append(stories[story], s)
	}
	return stories
}

func read(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

func (s step) path() []string { return strings.Split(strings.Trim(s.uri, "/"), "/") }

// departures are the steps with another reply or listing than nftlb's, on purpose, by the key that differs.
var departures = map[string]string{
	"025_api_start_stop_farms/286_deleting_farms":                            "3 helper: compared at the end",
	"035_api_whitelists/365_create_farm_with_whitelist_no_configured_ipaddr": "3 state of a backend: up without one",
	"backends/03-put":    "3 rst-rtlimit: has its own unit",
	"backends/04-put":    "3 rst-rtlimit: has its own unit",
	"backends/05-delete": "3 rst-rtlimit: has its own unit",
	"backends/06-delete": "3 rst-rtlimit: has its own unit",
}

// TestStories replays requests to nftlb on objects alone. After each request the objects of the files are the same.
func TestStories(t *testing.T) {
	stories := storiesOf(t, filepath.Join("..", "packettest", "testdata", "nftlb"))
	if len(stories) == 0 {
		t.Fatal("no stories")
	}
	if root := os.Getenv("NFTLB_CASES"); root != "" {
		maps.Copy(stories, storiesOf(t, filepath.Join(root, "api")))
	}
	steps, equal := 0, 0
	for story, all := range stories {
		state := &State{}
		for _, s := range all {
			before := deep(state)
			a := state.Do(Request{Verb: s.verb, Path: s.path(), Body: []byte(s.body), Lenient: true})
			checkSharing(t, before, state, a.State, story+"/"+s.name)
			state = a.State
			checkFiles(t, state, story+"/"+s.name)
			steps++
			reply, listing := fmt.Sprintf(`{"response": "%s"}`, a.Text), string(state.Listing(s.path()[0], ""))
			same := reply == strings.TrimSpace(s.reply) && listing == strings.TrimSpace(s.listing)
			if same {
				equal++
			}
			if why := departures[story+"/"+s.name]; same != (why == "") {
				t.Errorf("%s/%s (%s): %s, nftlb %s\n%s", story, s.name, why, reply, s.reply,
					difference(listing, s.listing))
			}
		}
	}
	t.Logf("%d steps, %d equal", steps, equal)
}

// checkFiles holds a state against the one of its files.
func checkFiles(t *testing.T, s *State, step string) {
	t.Helper()
	in := Files{Farms: map[string]edit.Document{}, Lists: map[string][]byte{}, Loose: s.Loose()}
	for _, f := range s.Farms {
		text, faults := edit.Write(s.Saved(f, MarksAsked))
		if len(faults) > 0 {
			t.Errorf("%s: %v", step, faults)
		}
		in.Farms[f.Name], _ = edit.Read(text)
	}
	for _, p := range s.Policies {
		in.Lists[p.Name] = p.Text()
	}
	again := in.State()
	for _, what := range []string{"farms", "policies", "addresses"} {
		if got, want := string(again.Listing(what, "")), string(s.Listing(what, "")); got != want {
			t.Errorf("%s: %s of the files\n%s", step, what, difference(got, want))
		}
	}
}

// difference returns the first lines that differ.
func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d: %s\n   nftlb: %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, nftlb has %d", len(g), len(w))
}

// TestListingsOfFiles: the files stand for all attributes and policies.
func TestListingsOfFiles(t *testing.T) {
	for _, test := range []struct{ name, body string }{
		{"sources of a proxy by mark", `{"farms": [{"name": "w", "virtual-addr": "192.0.2.1", "virtual-ports": "80",
			"mode": "local", "log-prefix": "foo", "scheduler": "rr", "backends": [{"name": "b", "ip-addr": "10.2.0.14",
			"source-addr": "10.2.0.1", "mark": "0x200", "state": "down"}, {"name": "c", "ip-addr": "10.2.0.15",
			"source-addr": "10.2.0.2"}]}]}`},
		{"policies of an attached address", `{"policies": [{"name": "p", "elements": [{"data": "10.9.0.0/24"}]}],
			"farms": [{"name": "f", "addresses": [{"name": "a", "ip-addr": "192.0.2.1", "ports": "81",
			"policies": [{"name": "p"}]}]}]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := (&State{}).Do(posted(test.body))
			if !a.OK() {
				t.Fatal(a.Text)
			}
			checkFiles(t, a.State, test.name)
		})
	}
}

// TestModeOfAProxy: a farm of a proxy loses its sources with its mode.
func TestModeOfAProxy(t *testing.T) {
	s := (&State{}).Do(posted(`{"farms": [{"name": "w", "virtual-addr": "192.0.2.1", "virtual-ports": "80",
		"mode": "local", "backends": [{"name": "b", "ip-addr": "10.2.0.14", "source-addr": "10.2.0.1"}]}]}`)).State
	s = Files{Farms: map[string]edit.Document{"w": s.Saved(s.Farms[0], MarksAsked)}}.State()
	c := s.Changes(s.Do(posted(`{"farms": [{"name": "w", "mode": "snat"}]}`)).State, MarksAsked).Farms[0]
	patch := Patch(c.Before, c.After)
	if sources, has := patch["sources"]; !has || sources != nil {
		t.Errorf("%v", patch)
	}
}
