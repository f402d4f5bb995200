package farm

import "testing"

// An entry of listen as other programs write it has a hint with the entry as it would be right.
func TestCorrectedListen(t *testing.T) {
	for text, want := range map[string]string{
		":80":                          `"*:80"`,
		"any:80":                       `"*:80"`,
		"80":                           `"*:80"`,
		"80/udp":                       `"*:80/udp"`,
		"192.0.2.1 80":                 `"192.0.2.1:80"`,
		"192.0.2.1:http":               `"192.0.2.1:80"`,
		"192.0.2.1:https":              `"192.0.2.1:443"`,
		"192.0.2.1:80/TCP":             `"192.0.2.1:80/tcp"`,
		"192.0.2.1:80/tcp+udp":         `"192.0.2.1:80/tcp,udp"`,
		"192.0.2.1:53/both":            `"192.0.2.1:53/tcp,udp"`,
		"192.0.2.1:80/http":            `"192.0.2.1:80/tcp"`,
		"192.0.2.1:80/6":               `"192.0.2.1:80/tcp"`,
		"192.0.2.1:80 tcp":             `"192.0.2.1:80/tcp"`,
		"192.0.2.1:80 ssl":             `"192.0.2.1:80"`,
		"192.0.2.1:443 default_server": `"192.0.2.1:443"`,
		"192.0.2.1:80;443":             `"192.0.2.1:80,443"`,
		"192.0.2.1:80, 443":            `"192.0.2.1:80,443"`,
		"192.0.2.1:80:90":              `"192.0.2.1:80-90"`,
		"192.0.2.1:80..90":             `"192.0.2.1:80-90"`,
		"tcp://192.0.2.1:80":           `"192.0.2.1:80/tcp"`,
		"udp://[2001:db8::1]:53":       `"[2001:db8::1]:53/udp"`,
		"http://192.0.2.1/":            `"192.0.2.1:80"`,
		"https://[2001:db8::1]":        `"[2001:db8::1]:443"`,
		"http://192.0.2.1:8080":        `"192.0.2.1:8080"`,
		"[::ffff:192.0.2.1]:80":        `"192.0.2.1:80"`,
		"192.0.2.1/24:80":              `"192.0.2.1:80", or "192.0.2.0/24:80" for the whole network`,
		"example.com:80":               listenRule,
		"fe80::1%eth0":                 listenRule,
		"192.0.2.1:90-80":              listenRule,
		"224.0.0.1:80":                 listenRule,
	} {
		if _, err := parseListen(text); err == nil {
			t.Errorf("%s is right", text)
		}
		if got := correctedListen(text); got != want {
			t.Errorf("%s: hint %s, want %s", text, got, want)
		}
	}
}

// The same for the address of a backend.
func TestCorrectedAddress(t *testing.T) {
	const oneMachine = "a table [backends.NAME] for each machine; " +
		"a list is for an IPv4 and an IPv6 address of one machine"
	for text, want := range map[string]string{
		"10.2.0.11:80":         `address = "10.2.0.11", and port = 80`,
		"[fd00::1]:80":         `address = "fd00::1", and port = 80`,
		"http://10.2.0.11:80/": `address = "10.2.0.11", and port = 80`,
		"http://10.2.0.11":     `"10.2.0.11"`,
		"10.2.0.11/24":         `"10.2.0.11": a backend is one machine`,
		"10.2.0.11/32":         `"10.2.0.11": a backend is one machine`,
		"10.2.0.0/24":          addressHint,
		"::ffff:10.2.0.11":     `"10.2.0.11"`,
		"[fd00::1]":            `"fd00::1"`,
		" 10.2.0.11 ":          `"10.2.0.11"`,
		"10.2.0.11,10.2.0.12":  oneMachine,
		"10.2.0.11-10.2.0.20":  oneMachine,
		"10.2.0.11-20":         oneMachine,
		"10.2.0.256":           addressHint,
		"127.0.0.1:80":         addressHint,
		"fe80::1%eth0":         addressHint,
	} {
		if got := correctedAddress(text); got != want {
			t.Errorf("%s: hint %s, want %s", text, got, want)
		}
	}
}
