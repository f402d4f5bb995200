package packettest

import (
	"fmt"
	"strings"
)

// Services that the testbed's clients ask, in both families.
const (
	service1       = "192.0.2.1:80 [2001:db8::1]:80"
	service1At8050 = "192.0.2.1:8050 [2001:db8::1]:8050"
	service2       = "192.0.2.2:80 [2001:db8::2]:80"
	service2At443  = "192.0.2.2:443 [2001:db8::2]:443"
	service2At8050 = "192.0.2.2:8050 [2001:db8::2]:8050"
	service3       = "192.0.2.3:80 [2001:db8::3]:80"
	service3At443  = "192.0.2.3:443 [2001:db8::3]:443"
	service9At53   = "192.0.2.9:53 [2001:db8::9]:53"
)

// Values of a farm's key listen. The number is the last part of the service's address.
const (
	listen1        = `"192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"`
	listen1Ports   = `"192.0.2.1:80,443,8000-8100/tcp,udp", "[2001:db8::1]:80,443,8000-8100/tcp,udp"`
	listen2At443   = `"192.0.2.2:443/tcp,udp", "[2001:db8::2]:443/tcp,udp"`
	listen2Ports   = `"192.0.2.2:443,8000-8070/tcp,udp", "[2001:db8::2]:443,8000-8070/tcp,udp"`
	listenWhole2   = `"192.0.2.2/all", "2001:db8::2/all"`
	listenWhole3   = `"192.0.2.3/all", "2001:db8::3/all"`
	listenAllKinds = `"192.0.2.1:80,8000-8100/tcp,udp", "[2001:db8::1]:80,8000-8100/tcp,udp", ` + listenWhole2
)

// oneBackend is a farm with one backend; port 0 keeps the destination port of the client's packet.
func oneBackend(mode, listen, backend string, port int, more ...string) string {
	n := strings.TrimPrefix(backend, "b")
	text := fmt.Sprintf(`
		mode   = %q
		listen = [%s]
		%s
		[backends.%s]
		address = ["10.2.0.1%s", "fd00:2::1%s"]
	`, mode, listen, strings.Join(more, "\n"), backend, n, n)
	if port != 0 {
		text += fmt.Sprintf("\tport = %d\n", port)
	}
	return text
}

// weightedTemplate is a farm of two backends, of weight 3 and 1, with different ports.
const weightedTemplate = `
	mode      = "MODE"
	listen    = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
	scheduler = "SCHEDULER"

	[backends.b1]
	address = ["10.2.0.11", "fd00:2::11"]
	port    = 8081
	weight  = 3

	[backends.b2]
	address = ["10.2.0.12", "fd00:2::12"]
	port    = 8082
`

// weightedFarm is weightedTemplate in mode snat with other weights.
func weightedFarm(scheduler string, b1, b2 int) string {
	text := strings.NewReplacer("MODE", "snat", "SCHEDULER", scheduler, "weight  = 3", fmt.Sprint("weight = ", b1)).
		Replace(weightedTemplate)
	return text + fmt.Sprintf("\tweight  = %d\n", b2)
}

// wholeAddressFarm takes every protocol of an address.
func wholeAddressFarm(mode, scheduler string) string {
	return `
		mode      = "` + mode + `"
		listen    = ["192.0.2.1/all", "2001:db8::1/all"]
		scheduler = "` + scheduler + `"
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
		weight  = 3
		[backends.b2]
		address = ["10.2.0.12", "fd00:2::12"]
	`
}

// localFarm is a farm of mode local.
func localFarm(listen string, keys ...string) string {
	return fmt.Sprintf("mode = \"local\"\nlisten = [%s]\n%s\n", listen, strings.Join(keys, "\n"))
}

// farmWithLocalBackend has its one backend on the balancer.
func farmWithLocalBackend(mode string) string {
	return `
		mode   = "` + mode + `"
		listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
		[backends.proxy]
		address = ["10.2.0.1", "fd00:2::1"]
		port    = 8081
	`
}

// unlimitedLog is a log whose rate no test reaches.
func unlimitedLog(on string) string { return "log.on = [" + on + "]\nlog.rate = \"999999/second\"" }

// farmWithoutLog listens inside of listenAllKinds and "*", on otherServices, and logs nothing.
func farmWithoutLog(mode string) string {
	return oneBackend(mode, `"192.0.2.1:8082/tcp,udp", "[2001:db8::1]:8082/tcp,udp", `+
		`"192.0.2.2:53/tcp,udp", "[2001:db8::2]:53/tcp,udp", `+listenWhole3, "b2", 0)
}

// otherServices are the services of farmWithoutLog.
const otherServices = "192.0.2.1:8082 [2001:db8::1]:8082 192.0.2.2:53 [2001:db8::2]:53 " + service3

// inside sets the key interfaces of a farm.
func (f farms) inside(name, link string) farms {
	f[name] = fmt.Sprintf("interfaces = %q\n", link) + f[name]
	return f
}

// replaceLast replaces the last occurrence of old.
func replaceLast(text, old, now string) string {
	at := strings.LastIndex(text, old)
	return text[:at] + now + text[at+len(old):]
}
