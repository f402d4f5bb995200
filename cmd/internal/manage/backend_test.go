package manage

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"farmc/cmd/internal/live"
	"farmc/compiler/farm"
)

// Changes of different backends of a farm come in one load, also beside states and weights, and each result tells its
// own changes. All of them are in the file, with the bytes around them.
func TestChangesOfBackendsTogether(t *testing.T) {
	text := web
	for n := range 20 {
		text += fmt.Sprintf("[backends.n%d] # %d\naddress = \"10.0.2.%d\"\n", n, n, n+1)
	}
	s := newSite(t, map[string]string{"etc/web.toml": text})
	if _, _, err := s.engine.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := text
	var writes []live.Write
	var words []string
	for n := range 20 {
		name, address := fmt.Sprint("n", n), fmt.Sprintf("address = \"10.0.2.%d\"\n", n+1)
		switch n % 4 {
		case 0:
			writes = append(writes, PatchBackend("web", name, document(t, `{"weight": 3}`), always))
			words = append(words, "backend "+name+" weight 1 → 3")
			want = strings.Replace(want, address, address+"weight = 3\n", 1)
		case 1:
			writes = append(writes, DeleteBackend("web", name, always))
			words = append(words, "backend "+name+" gone")
			want = strings.Replace(want, fmt.Sprintf("[backends.%s] # %d\n%s", name, n, address), "", 1)
		case 2:
			writes = append(writes, live.StateChange{Farm: "web", Backend: name, State: farm.Drain}.Write())
			words = append(words, "backend "+name+" state up → drain")
		default:
			writes = append(writes, live.WeightChange{Farm: "web", Backend: name, Weight: 5}.Write())
			words = append(words, "backend "+name+" weight 1 → 5")
		}
	}
	rounds := 0
	q := live.NewQueue(s.engine, func([]live.WriteResult) { rounds++ })
	results := q.WriteAll(t.Context(), writes)
	for i, r := range results {
		if r.Err != nil || len(r.ChangesOf("web")) != 1 || !strings.HasPrefix(r.ChangesOf("web")[0], words[i]) {
			t.Errorf("%v, changes %q, want %q", r.Err, r.ChangesOf("web"), words[i])
		}
	}
	history, err := s.engine.Store.History()
	if err != nil || rounds != 1 || len(history) != 2 {
		t.Errorf("%d rounds, %d loads, %v", rounds, len(history), err)
	}
	if got := s.text("etc/web.toml"); got != want {
		t.Errorf("the file is\n%s\nwant\n%s", got, want)
	}
}

// A file that a program wrote stays one after several changes in one load.
func TestChangesOfBackendsKeepTheRecord(t *testing.T) {
	s := newSite(t, nil)
	s.do(PutFarm("web", document(t, webDocument), always))
	for _, r := range s.engine.WriteAll(t.Context(), []live.Write{
		PatchBackend("web", "b1", document(t, `{"weight": 2}`), always),
		PatchBackend("web", "b2", document(t, `{"weight": 3}`), always)}) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if got := s.text("state/written/web"); got != recordOf([]byte(s.text("etc/web.toml"))) {
		t.Errorf("the record is %q", got)
	}
}

// A change with a fault, or with an old ETag, does not keep the others from their effect.
func TestChangesOfBackendsWithAFailure(t *testing.T) {
	s := newSite(t, map[string]string{"etc/web.toml": web})
	outdated := errors.New("another version")
	old := func(json.RawMessage) error { return outdated }
	results := s.engine.WriteAll(t.Context(), []live.Write{
		PatchBackend("web", "b1", document(t, `{"weight": 2000}`), always),
		PatchBackend("web", "b2", document(t, `{"weight": 7}`), always),
		PatchBackend("web", "b3", document(t, `{"weight": 8}`), always),
		PutBackend("web", "b4", document(t, `{"address": "10.0.0.4"}`), old),
		PutBackend("web", "b5", document(t, `{"address": "10.0.0.5"}`), always)})
	for i, want := range []error{live.ErrFaulty, nil, Missing{"backend"}, outdated, nil} {
		if got := results[i].Err; !errors.Is(got, want) {
			t.Errorf("write %d: %v, want %v", i, got, want)
		}
	}
	reading := cmp.Or(results[4].Reading, results[1].Reading)
	if d := string(reading.Document()); strings.Contains(d, "2000") || !strings.Contains(d, `"weight":7`) ||
		!strings.Contains(d, "10.0.0.5") || strings.Contains(d, "b3") || strings.Contains(d, "b4") {
		t.Errorf("the farm is %s", d)
	}
	s.has("etc/web.toml")
}
