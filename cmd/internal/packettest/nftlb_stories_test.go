package packettest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// An nftlbDeparture is a difference to nftlb's reply or listing, on purpose.
type nftlbDeparture struct {
	why     string
	reply   *regexp.Regexp // of farmc; nil: no reply differs so
	listing *regexp.Regexp // of farmc's first line that differs, "\n", nftlb's line; nil: no listing differs so
}

// nftlbDepartures are all of them.
var nftlbDepartures = []nftlbDeparture{
	{"a loopback address is a fault in modes for packets of other machines, and ::1 in all but local; the reply says " +
		"so, and the farm has the state config_error until then",
		regexp.MustCompile(`^\{"response": "success(\. Farm '[^']*' is not loaded: ` +
			`[^']*the loopback address[^']*)+"\}$`),
		regexp.MustCompile(`^ *"state": "config_error",\n *"state": "(up|down)",$`)},
	{"no backend can answer a loopback address as a source, and this kernel has no flow tables; the reply says so",
		regexp.MustCompile(`^\{"response": "success(\. Farm '[^']*' is not loaded: ` +
			`(source-address: 127\.[0-9.]+ is not an address that ` +
			`packets can be sent to from here|this kernel has no flow tables[^']*))+"\}$`), nil},
	{"helper and protocol are compared at the end of a request, not on the way",
		regexp.MustCompile(`^\{"response": "success"\}$`), nil},
	{"a rate of resets has its own unit, not that of new connections", nil,
		regexp.MustCompile(`^ *"rst-rtlimit": "0/second",\n *"rst-rtlimit": "0/\w+",$`)},
	{"a backend that was made without a state is up", nil,
		regexp.MustCompile(`^ *"state": "up",\n *"state": "config_error",$`)},
}

// TestNFTLBStories replays requests to nftlb, and compares replies and listings. After each request the listings are
// posted back, which changes nothing.
func TestNFTLBStories(t *testing.T) {
	stories := nftlbStories(t, filepath.Join("testdata", "nftlb"))
	if len(stories) == 0 {
		t.Fatal("no stories")
	}
	if dir := os.Getenv("NFTLB_CASES"); dir != "" {
		stories = append(stories, nftlbStories(t, filepath.Join(dir, "api"))...)
	}
	s := quietTestbed(t) // a farm may take the ports of 127.0.0.1
	must(t, addAddress{"eth1", "192.168.0.1/16"}.do(s))
	c, w := startNFTLB(t, s, "lenient")
	score := nftlbScore{departed: map[string]int{}}
	for _, story := range stories {
		for _, what := range []string{"farms", "policies", "addresses"} {
			c.tell(t, nftlbStep{method: "DELETE", path: what})
		}
		for _, step := range story {
			_, reply, err := c.ask(step.method, step.path, step.body)
			must(t, err)
			what, _, _ := strings.Cut(strings.Trim(step.path, "/"), "/")
			score.judge(t, step, reply, c.list(t, what))
			c.returned(t, step.name)
		}
	}
	t.Logf("%d steps: %d replies and %d listings are equal, %d steps unexplained", score.steps, score.replies,
		score.listings, score.unexplained)
	for why, n := range score.departed {
		t.Logf("%d replies and listings: %s", n, why)
	}
	must(t, w.stop())
}

// An nftlbScore counts equal steps.
type nftlbScore struct {
	steps, replies, listings, unexplained int
	departed                              map[string]int
}

// judge compares a reply and a listing with those of nftlb.
func (n *nftlbScore) judge(t *testing.T, step nftlbRecord, reply, listing string) {
	t.Helper()
	n.steps++
	explained := true
	if reply == step.reply {
		n.replies++
	} else {
		explained = n.explain(func(d nftlbDeparture) bool { return d.reply != nil && d.reply.MatchString(reply) })
	}
	if listing == step.listing {
		n.listings++
	} else {
		explained = n.explainLines(strings.Split(listing, "\n"), strings.Split(step.listing, "\n")) && explained
	}
	if !explained {
		n.unexplained++
		t.Errorf("%s: %s %s: reply\n%s, nftlb\n%s, listing\n%s\nnftlb\n%s", step.name, step.method, step.path, reply,
			step.reply, listing, step.listing)
	}
}

// explainLines reports whether each line that differs has a reason.
func (n *nftlbScore) explainLines(got, want []string) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		pair := got[i] + "\n" + want[i]
		if got[i] != want[i] && !n.explain(func(d nftlbDeparture) bool {
			return d.listing != nil && d.listing.MatchString(pair)
		}) {
			return false
		}
	}
	return true
}

func (n *nftlbScore) explain(is func(nftlbDeparture) bool) bool {
	for _, d := range nftlbDepartures {
		if is(d) {
			n.departed[d.why]++
			return true
		}
	}
	return false
}

// An nftlbRecord is a request, with the reply and the listing of nftlb.
type nftlbRecord struct {
	name, method, path, body, reply, listing string
}

var nftlbAssignment = regexp.MustCompile(`(?m)^(\w+)="?([^"\n]*)"?`)

// nftlbStories reads stories: a directory for each, in it a directory for each step, with VERB, URI and FILE in *.api,
// the reply in req.out, and the listing in obj.out.
func nftlbStories(t *testing.T, root string) (out [][]nftlbRecord) {
	t.Helper()
	stories, err := filepath.Glob(filepath.Join(root, "*"))
	must(t, err)
	known := map[string]string{} // a step has the values of the one before it
	for _, story := range stories {
		var records []nftlbRecord
		calls, err := filepath.Glob(filepath.Join(story, "*", "*.api"))
		must(t, err)
		for _, call := range calls {
			records = append(records, readNFTLBRecord(t, call, known))
		}
		out = append(out, records)
	}
	return out
}

func readNFTLBRecord(t *testing.T, call string, known map[string]string) nftlbRecord {
	t.Helper()
	dir := filepath.Dir(call)
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	for _, m := range nftlbAssignment.FindAllStringSubmatch(read(filepath.Base(call)), -1) {
		known[m[1]] = m[2]
	}
	r := nftlbRecord{name: fmt.Sprintf("%s/%s", filepath.Base(filepath.Dir(dir)), filepath.Base(dir)),
		method: known["VERB"], path: known["URI"], reply: read("req.out"), listing: read("obj.out")}
	if r.method != "GET" && known["FILE"] != "" {
		r.body = strings.NewReplacer("\r", "", "\n", "").Replace(read(known["FILE"])) // as curl -d @FILE does
	}
	return r
}
