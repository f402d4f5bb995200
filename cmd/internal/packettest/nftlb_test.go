package packettest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"farmc/cmd/internal/convert"
	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/nftlb"
)

// TestNFTLBFarms: imported farms of each kind serve packets as nftlb does.
func TestNFTLBFarms(t *testing.T) {
	t.Parallel()
	runCases(t, nftlbCases())
}

// nftlbFarm is one farm of nftlb on 192.0.2.1.
func nftlbFarm(more ...string) nftlbFarms {
	return nftlbFarms(`{"farms": [{"name": "web", "virtual-addr": "192.0.2.1", "state": "up",
		` + strings.Join(more, ",\n") + `}]}`)
}

func nftlbCases() []testCase {
	const web, first = "192.0.2.1:80", `"virtual-ports": "80", "protocol": "tcp"`
	ported := nftlbBackends(`"port": "8081",`, `"port": "8082",`)
	plain := nftlbBackends("", "")
	weighted := shares{"b1:8081": 3, "b2:8082": 1}
	return []testCase{
		{name: "snat-by-weight", steps: steps{
			nftlbFarm(first, `"mode": "snat", "scheduler": "weight"`, ported),
			request{by: "tcp", to: web, shares: weighted, sees: "balancer"}}},
		{name: "dnat-in-turn", steps: steps{
			nftlbFarm(first, `"mode": "dnat", "scheduler": "rr"`, strings.ReplaceAll(ported, `"weight": "3",`, "")),
			request{by: "tcp", to: web, shares: shares{"b1:8081": 1, "b2:8082": 1}, inTurn: true}}},
		{name: "snat-by-udp", steps: steps{
			nftlbFarm(`"virtual-ports": "80", "protocol": "udp"`, `"scheduler": "weight"`, ported),
			request{by: "udp", to: web, shares: weighted, sees: "balancer"}}},
		{name: "several-ports", steps: steps{
			nftlbFarm(`"virtual-ports": "80,8000-8100", "protocol": "tcp"`, `"scheduler": "weight"`, plain),
			request{by: "tcp", to: "192.0.2.1:8050", shares: shares{"b1:8050": 3, "b2:8050": 1}, sees: "balancer"}}},
		{name: "all-protocols-ignore-ports-of-backends", steps: steps{
			nftlbFarm(`"virtual-ports": "", "protocol": "all"`, `"scheduler": "weight"`, ported),
			request{by: "tcp udp", to: "192.0.2.1:8050", shares: shares{"b1:8050": 3, "b2:8050": 1},
				sees: "balancer"}}},
		{name: "one-port-is-none", steps: steps{
			nftlbFarm(first, `"scheduler": "weight"`, nftlbBackends(`"port": "8081",`, "")),
			request{by: "tcp", to: web, shares: shares{"b1:80": 3, "b2:80": 1}, sees: "balancer"}}},
		{name: "lower-priority-waits", steps: steps{
			nftlbFarm(first, nftlbBackends("", `"priority": "2",`)),
			request{by: "tcp", to: web, shares: shares{"b1:80": 1}, sees: "balancer"}}},
		{name: "priority-steps-in", steps: steps{
			nftlbFarm(first,
				strings.Replace(nftlbBackends("", `"priority": "2",`), `"state": "up"`, `"state": "off"`, 1)),
			request{by: "tcp", to: web, shares: shares{"b2:80": 1}, sees: "balancer"}}},
		{name: "persistent-session", steps: steps{
			nftlbFarm(first, `"scheduler": "weight", "persistence": "srcip", "persist-ttl": "60"`, plain,
				`"sessions": [{"client": "198.51.100.9", "backend": "b2"}]`),
			request{as: "198.51.100.9 2001:db8:c::9", by: "tcp", to: web, shares: shares{"b2:80": 1}, times: 20,
				sees: "balancer"}}},
		{name: "stateless-by-hash", lab: netlab.Options{}, steps: steps{
			nftlbFarm(first, `"mode": "stlsdnat", "scheduler": "hash", "sched-param": "srcip srcport"`,
				strings.Replace(ported, "8082", "8081", 1)),
			request{by: "tcp", to: web, shares: shares{"b1:8081": 3, "b2:8081": 1}}}},
		{name: "direct-return", lab: dsrTopologies[0].lab, steps: steps{
			nftlbFarm(first, `"mode": "dsr", "iface": "eth0", "scheduler": "weight"`, plain),
			directRequest{by: "tcp", to: web, shares: shares{"b1": 3, "b2": 1}}}},
		{name: "policies", steps: steps{
			nftlbFarms(strings.Replace(
				string(nftlbFarm(first, `"policies": [{"name": "white"}, {"name": "black"}]`, plain)),
				`{"farms"`, `{"policies": [{"name": "black", "elements": [{"data": "198.51.100.64/26"}]},
					{"name": "white", "type": "whitelist", "elements": [{"data": "198.51.100.66"}]}], "farms"`, 1)),
			request{as: unlistedClient, by: "tcp", to: web, shares: shares{"b1:80": 3, "b2:80": 1}, sees: "balancer"},
			denied{as: deniedClient, by: "tcp", to: web},
			request{as: allowedClient, by: "tcp", to: web, shares: shares{"b1:80": 3, "b2:80": 1}, sees: "balancer"}}},
		{name: "connections-per-client", steps: steps{
			nftlbFarm(first, `"est-connlimit": "2"`, plain),
			attempt{as: 9, by: "tcp", to: web, times: 4, pass: 2, keep: true}}},
	}
}

// TestNFTLBController makes the requests of a controller of Kubernetes: the service first, its endpoints later, one
// backend that goes, and an update by removal and creation.
func TestNFTLBController(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	c, w := startNFTLB(t, s, "on", "shop--http")
	service := nftlbStep{method: "POST", path: "farms", body: `{"farms" : [{"name" : "shop--http", "family" : "ipv4",
		"mode" : "snat", "protocol" : "tcp", "scheduler" : "rr", "persistence" : "none", "persist-ttl" : "ahg",
		"helper" : "none", "log" : "none", "mark" : "0x0", "state" : "up", "new-rtlimit" : "0", "rst-rtlimit" : "0",
		"est-connlimit" : "0", "tcp-strict" : "off", "queue" : "-1", "intra-connect" : "on",
		"addresses" : [{"name" : "shop--http--address", "ip-addr" : "192.0.2.1", "ports" : "80",
		"protocol" : "tcp"}]}]}`}
	endpoints := nftlbStep{method: "POST", path: "farms", body: `{"farms" : [{"name" : "shop--http", "backends" : [
		{"name" : "shop-5d9c.b1", "ip-addr" : "10.2.0.11", "state" : "up", "port" : "8081"},
		{"name" : "shop-5d9c.b2", "ip-addr" : "10.2.0.12", "state" : "up", "port" : "8082"}]}]}`}
	for range 2 {
		c.tell(t, service)
		must(t, refused{by: "tcp", to: "192.0.2.1:80"}.do(s))
		c.tell(t, endpoints)
		must(t, request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:8081": 1, "b2:8082": 1},
			sees: "balancer"}.do(s))
		c.returned(t, "endpoints")
		c.tell(t, nftlbStep{method: "DELETE", path: "farms/shop--http/backends/shop-5d9c.b1"})
		must(t, request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b2:8082": 1}, sees: "balancer"}.do(s))
		c.tell(t, nftlbStep{method: "DELETE", path: "farms/shop--http"},
			nftlbStep{"DELETE", "addresses/shop--http--address", "", 404,
				`{"response": "error stopping address. Unknown address 'shop--http--address'"}`})
	}
	if files := c.files(t); files != "" {
		t.Errorf("files are left:\n%s", files)
	}
	must(t, w.stop())
}

// TestNFTLBPanel makes the requests of a panel: one attribute a request, the listing as a saved configuration, and 100
// requests at once.
func TestNFTLBPanel(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	c, w := startNFTLB(t, s, "lenient,marks", "web")
	for _, attribute := range []string{`"virtual-addr": "192.0.2.1"`, `"virtual-ports": "80"`, `"mode": "snat"`,
		`"protocol": "tcp"`, `"scheduler": "weight"`, `"persistence": "none"`, `"helper": "none"`, `"state": "up"`,
		`"backends": [{"name": "bck0", "ip-addr": "10.2.0.11"}]`, `"backends": [{"name": "bck0", "port": "8081"}]`,
		`"backends": [{"name": "bck1", "ip-addr": "10.2.0.12", "port": "8082", "state": "up"}]`} {
		c.tell(t, nftlbStep{method: "PUT", path: "farms", body: `{"farms": [{"name": "web", ` + attribute + `}]}`})
		c.list(t, "farms/web")
	}
	must(t, request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:8081": 1, "b2:8082": 1}, sees: "balancer"}.do(s))
	c.has(t, "web.toml", `mark = "0x1"`)
	c.has(t, "web.toml", `mark = "0x2"`)
	c.returned(t, "panel")
	saved := c.list(t, "farms/web")
	c.tell(t, nftlbStep{method: "PUT", path: "farms", body: `{"farms": [{"name": "web", "helper": "irc"}]}`,
		status: 200, reply: `{"response": "success. Parsing unknown value 'irc' in 'helper', using default 'none'"}`})
	c.atOnce(t)
	c.tell(t, nftlbStep{method: "DELETE", path: "farms"}, nftlbStep{method: "POST", path: "farms", body: saved})
	if now := c.list(t, "farms/web"); now != saved {
		t.Errorf("the listing of a saved configuration is\n%s\nwant\n%s", now, saved)
	}
	must(t, request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:8081": 1, "b2:8082": 1}, sees: "balancer"}.do(s))
	must(t, w.stop())
}

// atOnce sends 100 requests at once: each must be done, and none lost.
func (c *nftlbClient) atOnce(t *testing.T) {
	t.Helper()
	var all sync.WaitGroup
	began := time.Now()
	for n := range 100 {
		all.Go(func() {
			body := fmt.Sprintf(`{"farms": [{"name": "web", "backends": [{"name": "x%d", "ip-addr": "10.2.1.%d",
				"port": "80", "state": "up"}]}]}`, n, n+1)
			if status, reply, err := c.ask("PUT", "farms", body); err != nil || status != http.StatusOK {
				t.Errorf("request %d of 100 at once: %d %s %v", n, status, reply, err)
			}
		})
	}
	all.Wait()
	t.Logf("100 requests at once took %v", time.Since(began))
	if listing := c.list(t, "farms/web"); strings.Count(listing, `"ip-addr": "10.2.1.`) != 100 {
		t.Errorf("backends are missing:\n%s", listing)
	}
}

// TestNFTLBFilters: policies of an address without a farm filter packets to programs there.
func TestNFTLBFilters(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	c, w := startNFTLB(t, s, "on")
	const at = "192.0.2.1:80"
	black := attempt{as: 9, by: "tcp", to: at, times: 1}
	here := attempt{as: 9, by: "tcp", to: at, times: 1, pass: 1}
	bad := `{"policies": [{"name": "bad", "elements": [{"data": "198.51.100.64/26"}]}],
		"addresses": [{"name": "www", "ip-addr": "192.0.2.1", "ports": "80", "policies": [{"name": "bad"}]}]}`
	must(t, here.do(s))
	c.tell(t, nftlbStep{"PUT", "policies", bad, 200, `{"response": "success"}`})
	must(t, black.do(s))
	c.has(t, "filter-of-www.toml", `deny = ["@bad"]`)
	if listing := c.list(t, "farms"); strings.Contains(listing, "www") {
		t.Errorf("the filter is listed as a farm:\n%s", listing)
	}
	c.returned(t, "filters")
	c.tell(t, nftlbStep{"PUT", "addresses", `{"addresses": [{"name": "www", "ports": "81"}]}`, 200, ""})
	must(t, here.do(s))
	c.tell(t, nftlbStep{"PUT", "addresses", `{"addresses": [{"name": "www", "ports": "80"}]}`, 200, ""})
	must(t, black.do(s))
	c.tell(t, nftlbStep{"DELETE", "policies/bad", "", 200, // 2: DELETE /policies/P
		`{"response": "success", "warnings": [{"farm":"","key":"policies","file":"","line":0,"column":0,` +
			`"message":"policy bad is detached from address www"`})
	must(t, here.do(s))
	c.tell(t, nftlbStep{"PUT", "policies", `{"policies": [{"name": "good", "type": "whitelist"}],
		"addresses": [{"name": "www", "policies": [{"name": "good"}]}]}`, 200,
		`{"response": "success", "warnings": [{"farm":"","key":"policies","file":"","line":0,"column":0,` +
			`"message":"address www has policies that have no effect"`})
	c.tell(t, nftlbStep{"DELETE", "addresses", "", 200, ""}, nftlbStep{"DELETE", "policies", "", 200, ""})
	if files := c.files(t); files != "" {
		t.Errorf("files are left:\n%s", files)
	}
	must(t, w.stop())
}

// TestNFTLBRefusals: without leniency nothing changes by a request that has no effect.
func TestNFTLBRefusals(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	c, w := startNFTLB(t, s, "on", "web", "a", "b")
	must(t, writeFile(c.dir+"/mail.toml", "listen = \"192.0.2.2:25\"\n[backends.b1]\naddress = \"10.2.0.11\"\n"))
	must(t, eventually{w.says("mail: new")}.do(s))
	before := c.files(t)
	put := func(body string, status int, reply string) nftlbStep {
		return nftlbStep{"PUT", "farms", body, status, `{"response": "` + reply}
	}
	c.tell(t, put("", 400, "the structure is invalid"), put("[]", 400, "the structure is invalid"),
		put(`{"farms": [{"name": "web", "name": "web"}]}`, 400, "the structure is invalid"),
		put(strings.Repeat(`{"farms":[`, 40), 400, "the structure is invalid"),
		put(`{"farms": [{"name": "web", "colour": "red"}]}`, 400, "error parsing buffer. Unknown key 'colour'"),
		put(`{"farms": [{"name": "web", "helper": "irc"}]}`, 400, "error parsing buffer. Parsing unknown value 'irc'"),
		put(`{"farms": [{"name": "web", "virtual-ports": "http"}]}`, 400, "error parsing buffer. Invalid ports 'http'"),
		put(`{"farms": [{"name": "../web"}]}`, 400, "error parsing buffer. '../web' is no name"),
		put(`{"farms": [{"name": "web", "policies": [{"name": "p"}]}]}`, 404, "the object to modify is unknown"),
		put(`{"farms": [{"name": "a", "virtual-addr": "192.0.2.3", "virtual-ports": "80"},
			{"name": "b", "virtual-addr": "::1", "virtual-ports": "80"}]}`, 400,
			"error parsing buffer. listen: the kernel sends"),
		put(`{"farms": [{"name": "web", "virtual-addr": "192.0.2.2", "virtual-ports": "25"}]}`, 409,
			"error parsing buffer"),
		nftlbStep{"DELETE", "farms/mail", "", 409, `{"response": "a person wrote `},
		nftlbStep{"DELETE", "farms", "", 409, `{"response": "a person wrote `},
		nftlbStep{"GET", "farms/none", "", 404, `{"response": "invalid request"}`},
		nftlbStep{"POST", "farms/mail", "{}", 404, `{"response": "invalid request"}`})
	if after := c.files(t); after != before {
		t.Errorf("the files have changed:\n%s", after)
	}
	c.tell(t, put(`{"farms": [{"name": "mail", "backends": [{"name": "b1", "state": "off"}]}]}`, 200, "success"))
	c.has(t, "mail.toml", `state = "drain"`)
	must(t, w.stop())
}

// TestNFTLBConfigurations imports the configurations of a directory. farmc and nft accept the farms.
func TestNFTLBConfigurations(t *testing.T) {
	root := os.Getenv("NFTLB_CASES")
	if root == "" {
		t.Skip("NFTLB_CASES is not set")
	}
	s := newTestbed(t, netlab.Options{})
	files, err := filepath.Glob(filepath.Join(root, "farms", "*.json"))
	must(t, err)
	program, accepted := farmc(t), 0
	for _, file := range files {
		in, err := convert.Open(file, nil)
		must(t, err)
		r := nftlb.Import(in)
		all := r.Finish()
		for _, f := range all {
			if strings.HasSuffix(f.Name, ".incomplete") {
				t.Errorf("%s: %v", filepath.Base(file), r.Losses)
			}
		}
		dir := filepath.Join(t.TempDir(), "farms")
		must(t, convert.Write(dir, all))
		must(t, s.Balancer.Do(func() error {
			out, err := exec.CommandContext(t.Context(), program, "check", "--dir", dir).CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v\n%s", filepath.Base(file), err, out)
				return nil
			}
			accepted++
			return nil
		}))
	}
	if t.Logf("%d of %d are accepted", accepted, len(files)); accepted == 0 {
		t.Error("none")
	}
}
