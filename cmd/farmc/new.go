package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
)

var newVerb = verb{
	name:    "new",
	args:    "NAME",
	summary: "write the file of a new farm",
	about: `Writes NAME.toml into the first directory of farms (by default /etc/farmc/farms.d), with comments
about the keys that are set most often. The farm is compiled first, together with the others: a
farm with faults is not written. An existing file is never overwritten.`,
	flags: func(c *call) {
		c.set.StringArrayVar(&c.listen, "listen", nil,
			"`address` and port that clients connect to, such as 192.0.2.10:80; repeatable")
		c.set.StringArrayVar(&c.backends, "backend", nil,
			"`backend`, such as 10.0.0.11, 10.0.0.11:8080 or web1=10.0.0.11; repeatable")
	},
	run: func(_ context.Context, c *call) int {
		text, err := c.farmText()
		if err != nil {
			return c.usageError("%v", err)
		}
		path, diagnostics, err := c.engine().NewFarm(c.args[0], []byte(text))
		if !c.report(nil, diagnostics, err) {
			return exitFailure
		}
		c.log("%s is written", path)
		c.log("next: edit it, farmc check, farmc diff, farmc apply (a service that watches the farms loads it at once)")
		return exitOK
	},
}

// farmText returns the text of the new farm.
func (c *call) farmText() (string, error) {
	if len(c.args) != 1 || len(c.listen) == 0 || len(c.backends) == 0 {
		return "", fmt.Errorf("new needs a name, --listen and --backend, " +
			"such as farmc new web --listen 192.0.2.10:80 --backend 10.0.0.11")
	}
	var quoted []string
	for _, l := range c.listen {
		if !plainText(l) {
			return "", fmt.Errorf("--listen %q is not an address with a port, such as 192.0.2.10:80", l)
		}
		quoted = append(quoted, `"`+l+`"`)
	}
	var out strings.Builder
	fmt.Fprintf(&out, newFarmHead, strings.Join(quoted, ", "))
	for i, b := range c.backends {
		text, err := backendText(i+1, b)
		if err != nil {
			return "", err
		}
		out.WriteString(text)
	}
	return out.String(), nil
}

// plainText reports whether a TOML string can hold the text without escapes.
func plainText(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '"' || r == '\\'
	})
}

const newFarmHead = `# Written by farmc new. See farms.d(5) for all keys; farmc check finds faults.

# Address and port that clients connect to. "192.0.2.10:80/udp" is UDP, "192.0.2.10:80-89" a range of ports.
listen = [%s]

# How packets reach the backends; see farmc-modes(7). snat (the default) needs no change on the backends, but hides the
# addresses of clients from them.
#mode = "snat"                         # snat | dnat | dsr | stateless | local

# A client keeps its backend for this time.
#[persistence]
#timeout = "30m"

# Who may connect.
#[access]
#allow = ["198.51.100.0/24"]
#deny = ["any"]
`

// backendText returns the table of the nth backend, which has the form [NAME=]ADDRESS[:PORT].
func backendText(n int, argument string) (string, error) {
	name, address, named := strings.Cut(argument, "=")
	if !named {
		name, address = fmt.Sprintf("b%d", n), argument
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil || !plainText(name) {
		ip, err := netip.ParseAddr(address)
		if err != nil || !plainText(name) {
			return "", fmt.Errorf("--backend %q is not [NAME=]ADDRESS[:PORT], such as 10.0.0.11:8080", argument)
		}
		to = netip.AddrPortFrom(ip, 0)
	}
	port := "#port = 8080                          # by default the port that the client connected to\n"
	if to.Port() != 0 {
		port = fmt.Sprintf("port = %d\n", to.Port())
	}
	if strings.Trim(name, letters) != "" { // the compiler refuses the name, and says why
		name = `"` + name + `"`
	}
	return fmt.Sprintf("\n[backends.%s]\naddress = \"%s\"\n%s#weight = 1                            # 1 to 1000\n",
		name, to.Addr(), port), nil
}

// letters are the characters of a TOML key without quotes.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
