package packettest

import (
	"fmt"
	"strings"
	"testing"

	"farmc/cmd/internal/convert"
	"farmc/cmd/internal/convert/haproxy"
	"farmc/cmd/internal/convert/ipvsadm"
	"farmc/cmd/internal/convert/keepalived"
	"farmc/cmd/internal/netlab"
)

// TestImports loads farms that are imported from other programs, and sends requests to their services.
func TestImports(t *testing.T) {
	t.Parallel()
	runCases(t, importCases)
}

// imported loads the farms of a configuration. An incomplete farm is an error.
type imported struct {
	from func(convert.Input) *convert.Result
	text string
}

func (i imported) do(s *testbed) error {
	r := i.from(convert.Input{Name: "configuration", Text: []byte(i.text), Interface: "eth0"})
	all := farms{}
	for _, f := range r.Finish() {
		name, whole := strings.CutSuffix(f.Name, ".toml")
		if !whole {
			return fmt.Errorf("%s: %v", f.Name, r.Losses)
		}
		all[name] = string(f.Text)
	}
	return all.do(s)
}

var importCases = []testCase{
	{name: "ipvsadm-weights-and-drain", steps: steps{
		imported{ipvsadm.Import, `-A -t 192.0.2.1:80 -s wrr
-a -t 192.0.2.1:80 -r 10.2.0.11:8081 -m -w 3
-a -t 192.0.2.1:80 -r 10.2.0.12:8082 -m -w 1
-a -t 192.0.2.1:80 -r 10.2.0.13:8083 -m -w 0
`},
		request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:8081": 3, "b2:8082": 1}},
	}},
	{name: "ipvsadm-both-families-and-protocols", steps: steps{
		imported{ipvsadm.Import, `-A -u 192.0.2.1:80 -s rr
-a -u 192.0.2.1:80 -r 10.2.0.11:80 -m -w 7
-a -u 192.0.2.1:80 -r 10.2.0.12:80 -m -w 1
-A -t [2001:db8::1]:80 -s rr
-a -t [2001:db8::1]:80 -r [fd00:2::12]:80 -m
`},
		request{by: "udp", to: "192.0.2.1:80", shares: shares{"b1:80": 1, "b2:80": 1}, inTurn: true},
		request{by: "tcp", to: "[2001:db8::1]:80", shares: shares{"b2:80": 1}, times: 4},
	}},
	{name: "ipvsadm-source-hash", steps: steps{
		imported{ipvsadm.Import, `-A -t 192.0.2.1:80 -s sh -b sh-fallback
-a -t 192.0.2.1:80 -r 10.2.0.11:80 -m
-a -t 192.0.2.1:80 -r 10.2.0.12:80 -m
`},
		sameBackends{"imported", "tcp", "192.0.2.1:80"}, sameBackends{"imported", "tcp", "192.0.2.1:80"},
	}},
	{name: "ipvsadm-failover-on-every-port", steps: steps{
		imported{ipvsadm.Import, `-A -t 192.0.2.1:0 -s fo -p 60
-a -t 192.0.2.1:0 -r 10.2.0.11:0 -m -w 1
-a -t 192.0.2.1:0 -r 10.2.0.12:0 -m -w 9
`},
		request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b2:80": 1}, times: 4},
		request{by: "tcp", to: "192.0.2.1:8050", shares: shares{"b2:8050": 1}, times: 4},
	}},
	{name: "ipvsadm-direct-routing", steps: steps{
		imported{ipvsadm.Import, `-A -t 192.0.2.1:80 -s wrr
-a -t 192.0.2.1:80 -r 10.2.0.11:80 -g -w 3
-a -t 192.0.2.1:80 -r 10.2.0.12:80 -g -w 1
`},
		directRequest{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1": 3, "b2": 1}},
	}, lab: netlab.Options{OneArmed: true, BackendVIPs: true, DirectReturn: true}},
	{name: "keepalived-group-and-range", steps: steps{
		imported{keepalived.Import, `virtual_server_group G {
	192.0.2.1-3 80
	192.0.2.1 443
}
virtual_server group G {
	protocol TCP
	lb_algo rr
	lb_kind NAT
	real_server 10.2.0.11 80 {
		TCP_CHECK {
		}
	}
}
`},
		request{by: "tcp", to: "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80 192.0.2.1:443", shares: shares{"b1:80": 1},
			times: 4},
	}},
	{name: "keepalived-network", steps: steps{
		imported{keepalived.Import, `virtual_server_group G {
	192.0.2.0/29 80
}
virtual_server group G {
	protocol TCP
	lb_algo rr
	persistence_timeout 50
	real_server 10.2.0.11 8081 {
	}
}
`},
		request{by: "tcp", to: "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80", shares: shares{"b1:8081": 1}, times: 4},
	}},
	{name: "keepalived-sorry-server", steps: steps{
		imported{keepalived.Import, `virtual_server 192.0.2.1 80 {
	protocol TCP
	lb_algo rr
	sorry_server 10.2.0.12 8082
	real_server 10.2.0.11 8081 {
	}
}
virtual_server 192.0.2.2 80 {
	protocol TCP
	lb_algo rr
	sorry_server 10.2.0.12 8082
	real_server 10.2.0.11 8081 {
		weight 0
	}
}
`},
		request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:8081": 1}, times: 4},
		request{by: "tcp", to: "192.0.2.2:80", shares: shares{"b2:8082": 1}, times: 4},
	}},
	{name: "haproxy-frontend-and-backend", steps: steps{
		imported{haproxy.Import, `defaults
	mode tcp
	balance roundrobin
frontend web
	bind 192.0.2.1:80
	default_backend app
backend app
	server b1 10.2.0.11:8081 weight 3 check
	server b2 10.2.0.12:8082 weight 1 check
	server b3 10.2.0.13:8083 weight 9 disabled
`},
		request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
	}},
	{name: "haproxy-transparent-and-backup", steps: steps{
		imported{haproxy.Import, `listen web
	mode tcp
	bind 192.0.2.1:80,192.0.2.1:8050-8055
	source 0.0.0.0 usesrc clientip
	server b1 10.2.0.11
	server b2 10.2.0.12 backup
`},
		request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}, times: 4},
		request{by: "tcp", to: "192.0.2.1:8050", shares: shares{"b1:8050": 1}, times: 4},
	}},
	{name: "haproxy-clients-and-offset", steps: steps{
		imported{haproxy.Import, `listen web
	bind 192.0.2.1:80
	maxconn 5000
	acl friends src 198.51.100.64/26 198.51.100.1
	acl friends src 2001:db8::/32
	tcp-request connection reject if { src 198.51.100.65 }
	tcp-request connection reject unless friends
	server b1 10.2.0.11:+8001
`},
		request{as: allowedClient, by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:8081": 1}, times: 4,
			sees: "balancer"},
		denied{as: deniedClient, by: "tcp", to: "192.0.2.1:80"},
		denied{as: unlistedClient, by: "tcp", to: "192.0.2.1:80"},
	}},
	{name: "haproxy-shared-table", steps: steps{
		imported{haproxy.Import, `backend web
	stick-table type ip size 10k expire 30m
	stick on src
	server b1 10.2.0.11:80
	server b2 10.2.0.12:80
frontend a
	bind 192.0.2.1:80
	default_backend web
frontend b
	bind 192.0.2.1:8050
	default_backend web
`},
		sameBackends{"imported", "tcp", "192.0.2.1:80"}, sameBackends{"imported", "tcp", "192.0.2.1:8050"},
	}},
	{name: "haproxy-stick-table", steps: steps{
		imported{haproxy.Import, `listen web
	bind *:80
	stick-table type ip size 10k expire 30m
	stick on src
	server b1 10.2.0.11:80
	server b2 10.2.0.12:80
`},
		sameBackends{"imported", "tcp", "192.0.2.1:80"}, sameBackends{"imported", "tcp", "192.0.2.1:80"},
	}},
}
