package live

import (
	"net/netip"
	"testing"

	"farmc/cmd/internal/resolve"
	"farmc/cmd/internal/statedir"
	"farmc/cmd/internal/testmachine"
	"farmc/compiler/farm"
)

// A process that reads the answers in the state directory has the same source files as the one that asked.
func TestKeptAnswersAreTheOnesInUse(t *testing.T) {
	root, state := t.TempDir(), t.TempDir()
	testmachine.Write(t, root, map[string]string{"web.toml": "listen = '192.0.2.1:80'\n" +
		"backends.b1.address = 'b1.example'\nbackends.b2.address = 'b2.example'\n"})
	engine := func() *Engine {
		return &Engine{Dirs: []farm.Dir{Dir(root)}, Store: statedir.NewStore(state), ResolvesHosts: true}
	}
	asks := engine()
	asks.compile()
	_, err := asks.KeepAnswers(map[string]resolve.Record{
		"b1.example": {Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}}})
	if err != nil {
		t.Fatal(err)
	}
	used, read := asks.compile(), engine().compile()
	if used.script == nil || read.script == nil {
		t.Fatal(used.diagnostics, read.diagnostics)
	}
	if used.sources.Digest() != read.sources.Digest() {
		t.Error("the files differ")
	}
}
