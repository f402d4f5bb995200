package resolve

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"strings"
)

// maxHostsFile is the number of bytes of the file of hosts that are read.
const maxHostsFile = 4 << 20

// readHosts returns the addresses of a hostname in a file as hosts(5) describes it.
func readHosts(path, host string) (out []netip.Addr) {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(io.LimitReader(f, maxHostsFile)); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		a, err := netip.ParseAddr(words[0])
		if err != nil {
			continue
		}
		for _, name := range words[1:] {
			if strings.EqualFold(strings.TrimSuffix(name, "."), host) {
				out = append(out, a)
				break
			}
		}
	}
	return out
}
