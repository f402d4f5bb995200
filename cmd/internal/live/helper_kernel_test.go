package live

import (
	"os"
	"path/filepath"
	"testing"

	"farmc/cmd/internal/statedir"
	"farmc/cmd/internal/testmachine"
)

func TestMain(m *testing.M) {
	testmachine.Main(m, func() { // the script for this machine is the one that compile prints
		os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait", []byte("3600"), 0)
	})
}

// engineFor returns an engine with the real nft and an empty ruleset, for farms in a new directory. Its path is the
// second result.
func engineFor(t *testing.T, files map[string]string) (*Engine, string) {
	t.Helper()
	n, root := testmachine.Nft(t), testmachine.Root(t)
	farms := filepath.Join(root, "farms.d")
	testmachine.Write(t, farms, files)
	e := &Engine{Dirs: nil, Nft: n, Store: statedir.NewStore(filepath.Join(root, "state")), Log: t.Logf, Cause: "test"}
	e.Dirs = append(e.Dirs, Dir(farms))
	return e, farms
}

const plain = "listen = '192.0.2.1:80'\nbackends.b1.address = '10.0.0.1'\n"
