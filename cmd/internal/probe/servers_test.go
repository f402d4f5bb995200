package probe

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"farmc/cmd/internal/netlab"
	"farmc/compiler/farm"
)

// start runs a server on a host until the end of the test. Without its program it skips the test.
func start(t *testing.T, h *netlab.Host, program string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := h.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(cmd) })
	return cmd
}

// kill ends a server with its children.
func kill(cmd *exec.Cmd) {
	syscall.Kill(-cmd.Process.Pid, syscall.SIGCONT)
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	cmd.Wait()
}

// A serverCase is a check of a server, at a port.
type serverCase struct {
	port    uint16
	check   farm.Health
	healthy bool
	reason  string
}

// try runs the checks of a server in both families, the first one until the server is up.
func try(t *testing.T, l *netlab.Lab, cases []serverCase) {
	t.Helper()
	for i, tt := range cases {
		for _, address := range addresses(l.Backends[0]) {
			checked := target(address, tt.port, tt.check)
			if i == 0 && !comesTrue(func() bool { return checkFrom(l.Balancer, checked).Healthy }) {
				t.Fatalf("the server is not up: %+v", checkFrom(l.Balancer, checked))
			}
			got := checkFrom(l.Balancer, checked)
			want(t, string(tt.check.Type)+" at "+address.String(), got, tt.healthy, tt.reason)
		}
	}
}

const nginxConfig = `daemon off; user root; worker_processes 1; pid nginx.pid; error_log stderr crit;
events { worker_connections 100; }
http {
	access_log off;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	server {
		listen [::]:80 ipv6only=off;
		location /ready { return 200 "ready\n"; }
		location /busy { return 503; }
		location /moved { return 301 http://www.example/; }
	}
	server {
		listen [::]:443 ssl ipv6only=off;
		ssl_certificate cert.pem; ssl_certificate_key key.pem;
		location /ready { return 200 "secret $http_host\n"; }
	}
}
`

// nginxDir has the configuration of nginx, with a certificate.
func nginxDir(t *testing.T, names ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	certificate := sign(template(names...), nil)
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"nginx.conf": []byte(nginxConfig),
		"cert.pem":   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}),
		"key.pem":    pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func path(text string) func(*farm.Health)   { return func(h *farm.Health) { h.Path = text } }
func method(text string) func(*farm.Health) { return func(h *farm.Health) { h.Method = text } }

func TestNginx(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	dir := nginxDir(t, "a.example")
	trusted := ca(filepath.Join(dir, "cert.pem"))
	server := start(t, l.Backends[0], "nginx", "-p", dir, "-c", "nginx.conf", "-e", "stderr")
	try(t, l, []serverCase{
		{443, a(farm.HealthTLS, trusted, name("a.example")), true, "connected"},
		{80, a(farm.HealthTCP), true, "connected"},
		{80, a(farm.HealthHTTP, path("/ready"), body("ready")), true, "200, expected body"},
		{80, a(farm.HealthHTTP, path("/ready?full=1"), method("HEAD")), true, "200"},
		{80, a(farm.HealthHTTP, path("/moved")), true, "301"},
		{80, a(farm.HealthHTTP, path("/busy")), false, "503, expected 200-399"},
		{80, a(farm.HealthHTTP, path("/none")), false, "404, expected 200-399"},
		{80, a(farm.HealthTLS, trusted), false, "answer is not TLS"},
		{443, a(farm.HealthHTTP, path("/ready")), false, "400, expected 200-399"},
		{443, a(farm.HealthHTTPS, trusted, host("a.example"), path("/ready"), body("secret a.example")), true,
			"200, expected body"},
		{443, a(farm.HealthHTTPS, trusted, name("b.example"), path("/ready")), false,
			"certificate is for a.example, not b.example"},
		{443, a(farm.HealthHTTPS, name("a.example"), path("/ready")), false, "certificate is self-signed"},
	})
	syscall.Kill(-server.Process.Pid, syscall.SIGSTOP)
	try(t, l, []serverCase{
		{80, a(farm.HealthTCP), true, "connected"}, // by its kernel
		{80, a(farm.HealthHTTP, timeout(soon)), false, "no answer in 500ms"},
		{443, a(farm.HealthHTTPS, timeout(soon)), false, "no TLS handshake in 500ms"},
	})
	kill(server)
	for _, kind := range []farm.HealthType{farm.HealthTCP, farm.HealthHTTP, farm.HealthTLS} {
		for _, address := range addresses(l.Backends[0]) {
			comesTrue(func() bool { // once the children have ended
				return !checkFrom(l.Balancer, target(address, 80, a(farm.HealthTCP))).Healthy
			})
			want(t, string(kind), checkFrom(l.Balancer, target(address, 80, a(kind))), false, "connection refused")
		}
	}
}

func TestRedis(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	start(t, l.Backends[0], "redis-server", "--bind", "*", "-::*", "--protected-mode", "no", "--dir", t.TempDir(),
		"--save", "", "--port", "6379")
	start(t, l.Backends[0], "redis-server", "--bind", "*", "-::*", "--requirepass", "x", "--dir", t.TempDir(),
		"--save", "", "--port", "6380")
	ping := a(farm.HealthTCP, send("PING\r\n"), expect("+PONG\r\n"))
	locked := a(farm.HealthTCP, send("PING\r\nQUIT\r\n"), expect("-NOAUTH"))
	try(t, l, []serverCase{{6379, ping, true, "expected answer"}})
	try(t, l, []serverCase{
		{6380, locked, true, "expected answer"},
		{6380, a(farm.HealthTCP, send("PING\r\nQUIT\r\n"), expect("+PONG\r\n")), false,
			"39 bytes without the expected text"},
	})
}

func TestDnsmasq(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	server := start(t, l.Backends[0], "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
		"--no-hosts", "--user=root", "--pid-file=", "--local=/example/",
		"--host-record=www.example,192.0.2.9,2001:db8::9",
		"--txt-record=state.example,all is well", "--mx-host=example,mail.example,10")
	ask := func(changes ...func(*farm.Health)) farm.Health { return a(farm.HealthDNS, changes...) }
	try(t, l, []serverCase{
		{53, ask(question("www.example", "A", "192.0.2.9")), true, "expected record"},
		{53, ask(question("www.example", "AAAA", "2001:db8:0::9")), true, "expected record"},
		{53, ask(question("state.example", "TXT", "all is well")), true, "expected record"},
		{53, ask(question("example", "MX", "10 mail.example.")), true, "expected record"},
		{53, ask(question("www.example", "A", "")), true, "1 record"},
		{53, ask(question("www.example", "A", "192.0.2.8")), false, "192.0.2.9, expected 192.0.2.8"},
		{53, ask(question("none.example", "A", "")), false, "NXDOMAIN, expected NOERROR"},
		{53, ask(question("example.org", "A", "")), false, "REFUSED, expected NOERROR"},
		{53, a(farm.HealthUDP, send("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"+
			"\x03www\x07example\x00\x00\x01\x00\x01"), expect("\x12\x34\x85\x80")), true, "answered"},
		{53, a(farm.HealthTCP), true, "connected"},
	})
	kill(server)
	for _, address := range addresses(l.Backends[0]) {
		for _, check := range []farm.Health{ask(question("www.example", "A", "")), a(farm.HealthUDP)} {
			want(t, "killed", checkFrom(l.Balancer, target(address, 53, check)), false, "connection refused")
		}
	}
}
