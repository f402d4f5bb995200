package nftlb

import (
	"cmp"
	"strconv"
)

func (t *translation) setScheduler() {
	name := t.farm.Values["scheduler"]
	switch direct := t.mode == "dsr" || t.mode == "stlsdnat"; {
	case t.mode == "local", !direct && name == "weight":
	case direct && (name == "rr" || name == "weight"):
		t.note("scheduler", name+" picks a backend for each packet, and resets connections; farmc has maglev", "")
	case name == "rr":
		t.out["scheduler"] = "round-robin"
	case name == "symhash":
		t.out["scheduler"] = "symmetric-hash"
	case name == "hash":
		t.out["scheduler"] = "hash"
		if on := clientKeys(t.farm.Values["sched-param"]); len(on) > 0 {
			t.out["hash-on"] = on
		}
	}
}

// keyNames are farmc's names of the words that identify a client.
var keyNames = map[string]string{"srcip": "source-address", "dstip": "destination-address", "srcport": "source-port",
	"dstport": "destination-port", "srcmac": "source-mac", "dstmac": "destination-mac"}

func clientKeys(text string) (out []any) {
	for _, word := range found(clientWords, text) {
		out = append(out, keyNames[word])
	}
	return out
}

func (t *translation) setPersistence() {
	on := clientKeys(t.farm.Values["persistence"])
	if len(on) == 0 || t.mode == "local" {
		if len(t.farm.Sessions) > 0 {
			t.note("sessions", "have no effect without persistence", "")
		}
		return
	}
	p := t.table("persistence")
	p["on"] = on
	p["timeout"] = t.lifetime()
	if t.tracked() && t.out["flow-offload"] == nil {
		p["renew"] = "packet" // as nftlb does
	}
	t.setSessions(p)
}

// longest is the longest time that farmc remembers a client, in seconds.
const longest = 365 * 24 * 3600

func (t *translation) lifetime() string {
	seconds := t.farm.Values.Number("persist-ttl")
	if seconds == 0 || seconds > longest {
		t.note("persist-ttl", "farmc remembers a client for 365 days at most", "")
		seconds = longest
	}
	return strconv.Itoa(seconds) + "s"
}

func (t *translation) setSessions(p map[string]any) {
	fixed := map[string]any{}
	for _, s := range t.farm.Sessions {
		if b := t.farm.Backend(s.Backend); b != nil && b.Values["ip-addr"] != "" {
			fixed[s.Client] = cmp.Or(t.same[s.Backend], s.Backend)
		}
	}
	if len(fixed) > 0 {
		p["static"] = fixed
	}
}
