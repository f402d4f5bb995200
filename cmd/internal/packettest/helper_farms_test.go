package packettest

import (
	"fmt"
	"strings"
)

const (
	manyPorts   = `"192.0.2.1:80,443,8000-8100/tcp,udp", "[2001:db8::1]:80,443,8000-8100/tcp,udp"`
	wholeSecond = `"192.0.2.2", "2001:db8::2"`
)

const byAll = `"192.0.2.1:80,8000-8100/tcp,udp", "[2001:db8::1]:80,8000-8100/tcp,udp", "192.0.2.2", "2001:db8::2"`

var bothSecond = "192.0.2.2:80 [2001:db8::2]:80"

func lastReplaced(text, old, now string) string {
	at := strings.LastIndex(text, old)
	return text[:at] + now + text[at+len(old):]
}

const everyDoor = `"192.0.2.1:80,8000-8100/tcp,udp", "[2001:db8::1]:80,8000-8100/tcp,udp", "192.0.2.2", "2001:db8::2"`

// inside has a farm take its packets from an interface alone.
func (f farms) inside(name, link string) farms {
	f[name] = fmt.Sprintf("interfaces = %q\n", link) + f[name]
	return f
}

func localBackend(mode string) string {
	return `
		mode   = "` + mode + `"
		listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
		[backends.proxy]
		address = ["10.2.0.1", "fd00:2::1"]
		port    = 8081
	`
}

// unhindered is a log that no test fills.
func unhindered(on string) string { return "log.on = [" + on + "]\nlog.rate = \"999999/second\"" }

const (
	inMiddle = "192.0.2.1:8050 [2001:db8::1]:8050"
	inWhole  = "192.0.2.2:443 [2001:db8::2]:443"
	inAny    = "192.0.2.9:53 [2001:db8::9]:53"
	ofOthers = "192.0.2.1:8082 [2001:db8::1]:8082 192.0.2.2:53 [2001:db8::2]:53 192.0.2.3:80 [2001:db8::3]:80"
)

// unlogged are farms that take something out of everyDoor and "*", and write nothing.
func unlogged(mode string) string {
	return one(mode, `"192.0.2.1:8082/tcp,udp", "[2001:db8::1]:8082/tcp,udp", "192.0.2.2:53/tcp,udp", "[2001:db8::2]:53/tcp,udp", "192.0.2.3", "2001:db8::3"`, "b2", 0)
}

// local is a farm of the balancer itself.
func local(listen string, keys ...string) string {
	return fmt.Sprintf("mode = \"local\"\nlisten = [%s]\n%s\n", listen, strings.Join(keys, "\n"))
}

// both are the first service by both families.
const both = "192.0.2.1:80 [2001:db8::1]:80"

// whole takes an address, whatever the protocol.
func whole(mode, scheduler string) string {
	return `
		mode      = "` + mode + `"
		listen    = ["192.0.2.1", "2001:db8::1/all"]
		scheduler = "` + scheduler + `"
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
		weight  = 3
		[backends.b2]
		address = ["10.2.0.12", "fd00:2::12"]
	`
}

// weightedBy is the farm of weightScenes with other weights.
func weightedBy(scheduler string, b1, b2 int) string {
	text := strings.NewReplacer("MODE", "snat", "SCHEDULER", scheduler, "weight  = 3", fmt.Sprint("weight = ", b1)).Replace(weighted)
	return text + fmt.Sprintf("\tweight  = %d\n", b2)
}

// one is a farm of a single backend; port 0 keeps the one that was asked for.
func one(mode, listen, backend string, port int, more ...string) string {
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

const listenBoth = `"192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"`

const (
	listenSecond = `"192.0.2.2:443/tcp,udp", "[2001:db8::2]:443/tcp,udp"`
	otherPorts   = `"192.0.2.2:443,8000-8070/tcp,udp", "[2001:db8::2]:443,8000-8070/tcp,udp"`
	second       = "192.0.2.2:443 [2001:db8::2]:443"
	inRange      = "192.0.2.2:8050 [2001:db8::2]:8050"
	third        = "192.0.2.3:80 [2001:db8::3]:80"
)

const wholeThird = `"192.0.2.3", "2001:db8::3"`

// weighted is a farm of two backends, of weight 3 and 1, at different ports, on both families and by both
// protocols.
const weighted = `
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
