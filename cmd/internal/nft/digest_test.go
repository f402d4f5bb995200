package nft

import (
	"slices"
	"strings"
	"testing"
)

var digest = strings.Repeat("0123456789abcdef", 4)

func rulesWithComment(comment string) []byte {
	return []byte("table inet farmc {\n\tchain keep-conntrack {\n\t\tct state new comment \"" + comment +
		"\"\n\t}\n}\n")
}

func TestLoaded(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"no-table", "flush ruleset\n", ""},
		{"ours", string(rulesWithComment("farmc sha256:" + digest)), digest},
		{"no-chain", "table inet farmc { }\n", ""},
		{"without-comment", "table inet farmc {\n\tchain keep-conntrack {\n\t\tct state new\n\t}\n}\n", ""},
		{"flushed", string(rulesWithComment("farmc sha256:"+digest)) + "flush table inet farmc\n", ""},
		{"other-chain", strings.Replace(string(rulesWithComment("farmc sha256:"+digest)), "keep-conntrack", "other", 1),
			""},
		{"other-comment", string(rulesWithComment("hand-made")), ""},
		{"longer-comment", string(rulesWithComment("farmc sha256:" + digest + "0")), ""},
		{"other-family", strings.Replace(string(rulesWithComment("farmc sha256:"+digest)), "inet", "ip", 1), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			nft, _ := realNft(t)
			load(t, nft, []byte(c.script))
			if got, err := nft.Loaded(t.Context()); got != c.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestIngressDevices(t *testing.T) {
	nft, _ := realNft(t)
	load(t, nft, []byte(`
table inet farmc {
	chain one { type filter hook ingress devices = { "lo" } priority 0; }
	chain prerouting { type filter hook prerouting priority 0; }
}
`))
	got, err := nft.IngressDevices(t.Context())
	if err != nil || !slices.Equal(got, []string{"lo"}) {
		t.Errorf("got %v, %v, want lo", got, err)
	}
	load(t, nft, []byte(`
delete table inet farmc
table netdev farmc {
	chain one { type filter hook ingress devices = { "lo" } priority 0; }
	chain other { type filter hook ingress devices = { "lo" } priority 1; }
	chain plain { }
}
table netdev foreign {
	chain none { type filter hook ingress devices = { "lo" } priority 0; }
}
`))
	got, err = nft.IngressDevices(t.Context())
	if err != nil || !slices.Equal(got, []string{"lo"}) {
		t.Errorf("got %v, %v, want lo", got, err)
	}
}

// BenchmarkLoaded is for a kernel with a large set in table inet farmc. The time must not depend on its size.
func BenchmarkLoaded(b *testing.B) {
	for b.Loop() {
		if _, err := (Nft{}).Loaded(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
