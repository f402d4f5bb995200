package clustertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// port is the port of the backends. A port of a backend belongs to one stateless farm.
func (m mode) port() int {
	switch m {
	case stateless:
		return 8080
	case snat:
		return 8081
	}
	return 80
}

// farm is a farm of the mode with these backends, written as "b1" or "b1 drain" for one with a state.
func (m mode) farm(scheduler string, backends ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "mode = %q\nscheduler = %q\n", m.name, scheduler)
	if m != dnat && scheduler != "random" {
		text.WriteString("hash-on = [\"source-address\", \"source-port\"]\n")
	}
	if m != dnat {
		text.WriteString("announce = true\n")
	}
	fmt.Fprintf(&text, "listen = [\"%[1]s:80/tcp\", \"%[1]s:80/udp\", \"[%[2]s]:80/tcp\", \"[%[2]s]:80/udp\"]\n",
		m.address("tcp4"), m.address("tcp6"))
	if m == dsr {
		text.WriteString("interfaces = \"eth0\"\n")
	}
	for _, b := range backends {
		m.writeBackend(&text, b)
	}
	return text.String()
}

func (m mode) writeBackend(text *strings.Builder, words string) {
	name, state, _ := strings.Cut(words, " ")
	number := strings.TrimPrefix(name, "b")
	fmt.Fprintf(text, "[backends.%s]\naddress = [\"10.2.0.1%[2]s\", \"fd00:2::1%[2]s\"]\n", name, number)
	if m == dsr {
		text.WriteString("interface = \"eth1\"\n")
	} else {
		fmt.Fprintf(text, "port = %d\n", m.port())
	}
	if state != "" {
		fmt.Fprintf(text, "state = %q\n", state)
	}
}

// writeFarm writes the farm of a mode on a balancer, with three backends unless others are given.
func (s *site) writeFarm(b *balancer, m mode, backends ...string) {
	s.t.Helper()
	if backends == nil {
		backends = []string{"b1", "b2", "b3"}
	}
	s.writeFile(b, m.name+".toml", m.farm(s.scheduler, backends...))
}

// writeFile replaces a file among the farms of a balancer.
func (s *site) writeFile(b *balancer, name, text string) {
	s.t.Helper()
	file := filepath.Join(s.farms(b), name)
	must(s.t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(s.t, os.WriteFile(file+".new", []byte(text), 0o644))
	must(s.t, os.Rename(file+".new", file))
}

// writeTraffic writes the farms with traffic for the next push. A table of maglev that is small makes small scripts.
func (s *site) writeTraffic(dir string, backends ...string) {
	s.t.Helper()
	for _, m := range modes {
		text := m.farm(s.scheduler, "b1", "b2", "b3")
		if m != snat {
			text = "table-size = 509\n" + m.farm(s.scheduler, backends...)
		}
		s.writeText(filepath.Join(dir, m.name+".toml"), text)
	}
}
