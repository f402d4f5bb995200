package keepalived

import (
	"encoding/hex"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"farmc/compiler/farm"
)

// A checkerType is a type of keepalived's checkers.
type checkerType struct {
	kind      string  // the type of [health]
	retry     int     // the default of retry
	between   float64 // the default of delay_before_retry; 0: that of delay_loop
	statement func(*check, *statement) bool
	finish    func(*check) bool // reports whether the check can be had
}

// checkers are the types that farmc has.
var checkers = map[string]checkerType{
	"TCP_CHECK":  {"tcp", 1, 1, nil, nil},
	"HTTP_GET":   {"http", 1, 3, (*check).http, (*check).finishHTTP},
	"SSL_GET":    {"https", 1, 3, (*check).http, (*check).finishHTTP},
	"SMTP_CHECK": {"tcp", 1, 1, (*check).smtp, (*check).finishSMTP},
	"DNS_CHECK":  {"dns", 3, 0, (*check).dns, (*check).finishDNS},
	"UDP_CHECK":  {"udp", 1, 1, (*check).udp, nil},
	"PING_CHECK": {"icmp", 1, 1, nil, nil},
	"MISC_CHECK": {"exec", 0, 1, (*check).misc, (*check).finishMisc},
	"FILE_CHECK": {"file", 0, 1, (*check).file, (*check).finishFile},
}

// http reads HTTP_GET and SSL_GET.
func (c *check) http(d *statement) bool {
	switch d.name() {
	case "url":
		if c.keys["path"] != nil {
			c.Lose(d.at, "a check of farmc asks for one URL, so this one is left out", "write a program with type exec")
			return true
		}
		c.url(d)
	case "enable_sni":
		c.keys["tls-name"] = ""
	case "http_protocol", "fast_recovery", "tls_compliant":
		c.Note(d.at, "checks of farmc have no "+d.name(), "they speak HTTP/1.1; leave it out")
	default:
		return false
	}
	return true
}

// url reads the block of a URL.
func (c *check) url(block *statement) {
	c.keys["path"] = "/"
	for _, d := range block.within {
		switch d.name() {
		case "path":
			c.path(d)
		case "status_code":
			c.status(d)
		case "virtualhost":
			c.host = d.word(1)
		case "regex":
			c.regex(d)
		case "digest":
			c.Lose(d.at, "checks of farmc compare no digest of a body, so any body is good",
				"write body or body-regexp into [health]")
		case "regex_no_match":
			delete(c.keys, "body-regexp")
			c.Lose(d.at, "a check of farmc cannot fail on a body that matches", "write a program with type exec")
		case "regex_options", "regex_stack", "regex_min_offset", "regex_max_offset":
			c.Lose(d.at, "checks of farmc have no "+d.name(), "write options into the expression, as in (?i)ready")
		default:
			c.unknown(d, "in url")
		}
	}
}

func (c *check) path(d *statement) {
	text := d.word(1)
	if _, err := url.ParseRequestURI(text); err != nil || !strings.HasPrefix(text, "/") {
		c.Lose(d.at, "the path is not one of a URL", "write it with percent-encoding; the farm has /")
		return
	}
	c.keys["path"] = text
}

var statusCode = regexp.MustCompile(`^[1-5][0-9]{2}(-[1-5][0-9]{2})?$`)

func (c *check) status(d *statement) {
	var codes []any
	for _, text := range d.words[1:] {
		if !statusCode.MatchString(text) {
			c.Lose(d.at, "a status code is no number or range", "write numbers from 100 to 599")
			continue
		}
		codes = append(codes, text)
	}
	if len(codes) > 0 {
		c.keys["status"] = codes
	}
}

// regex reads a regular expression of PCRE, which farmc has if it is one of RE2, too.
func (c *check) regex(d *statement) {
	text := d.word(1)
	if len(d.words) > 2 {
		c.Lose(d.at, "the regular expression is not one word, so keepalived ignores it", "put it in quotes")
		return
	}
	if _, err := regexp.Compile(text); err != nil {
		c.Lose(d.at, "the regular expression is not one of RE2, so any body is good", "write it in the syntax of RE2")
		return
	}
	c.keys["body-regexp"] = text
}

// finishHTTP writes the defaults of keepalived: a status from 200 to 299, and any certificate.
func (c *check) finishHTTP() bool {
	if c.keys["path"] == nil {
		c.Lose(c.at, "the check has no url", "add one; the farm has the path /")
	}
	if c.keys["status"] == nil {
		c.keys["status"] = []any{"200-299"}
	}
	_, sni := c.keys["tls-name"]
	delete(c.keys, "tls-name")
	if c.host != "" {
		c.keys["host"] = c.host
	}
	if c.name == "SSL_GET" {
		c.keys["tls-verify"] = false
		switch {
		case sni && c.host != "":
			c.keys["tls-name"] = c.host
		case c.host != "":
			c.Lose(c.at, "without enable_sni keepalived asks for no name in TLS, and farmc for the host",
				"leave it as it is if the server takes the name")
		}
	}
	return true
}

func (c *check) smtp(d *statement) bool {
	switch d.name() {
	case "helo_name":
		c.Note(d.at, "checks of farmc say no HELO", "the check waits for the greeting 220 alone")
	case "host":
		c.Lose(d.at, "farmc checks the address of the backend alone", "leave the block host out")
	default:
		return false
	}
	return true
}

func (c *check) finishSMTP() bool {
	c.keys["expect"] = "220"
	return true
}

func (c *check) dns(d *statement) bool {
	switch d.name() {
	case "type":
		c.keys["dns-type"] = strings.ToUpper(d.word(1))
	case "name":
		c.keys["dns-name"] = strings.TrimSuffix(d.word(1), ".")
	default:
		return false
	}
	return true
}

// finishDNS writes keepalived's default type. Its default name is the root, which farmc cannot ask for.
func (c *check) finishDNS() bool {
	if c.keys["dns-type"] == nil {
		c.keys["dns-type"] = "SOA"
	}
	if name := c.keys["dns-name"]; name == nil || name == "" {
		c.Lose(c.at, "DNS_CHECK asks for the root, and farmc needs a name", "set dns-name; the backend has no check")
		return false
	}
	return true
}

func (c *check) udp(d *statement) bool {
	switch d.name() {
	case "payload":
		c.bytes(d, "send")
	case "require_reply":
		if d.word(1) == "" {
			c.Lose(d.at, "a check of farmc needs a text to wait for", "set expect; the check passes without a reply")
			return true
		}
		c.bytes(d, "expect")
	case "min_reply_length", "max_reply_length":
		c.Lose(d.at, "checks of farmc have no "+d.name(), "write expect into [health]")
	default:
		return false
	}
	return true
}

// bytes reads hexadecimal digits, with one or two of them for a byte.
func (c *check) bytes(d *statement, key string) {
	var digits strings.Builder
	for _, word := range d.words[1:] {
		if len(word)%2 == 1 {
			word = word[:len(word)-1] + "0" + word[len(word)-1:]
		}
		digits.WriteString(strings.ToLower(word))
	}
	if _, err := hex.DecodeString(digits.String()); err != nil || digits.Len() == 0 {
		c.Lose(d.at, d.name()+" is not hexadecimal, or has digits that may differ", "write "+key+" into [health]")
		return
	}
	c.keys[key] = "hex:" + digits.String()
}

func (c *check) misc(d *statement) bool {
	switch d.name() {
	case "misc_path":
		c.program(d)
	case "misc_timeout":
		setTimer(c.Result, d, &c.running, 0)
	case "misc_dynamic":
		c.dynamic = true
		c.Note(d.at, "a status of N sets a weight of N - 2 in keepalived, and of N - 2 percent in farmc",
			"let the program end with 2 to 102")
	case "user":
		c.Lose(d.at, "programs of checks run as the user of farmc health", "leave it out")
	default:
		return false
	}
	return true
}

// program reads the path of a program. farmc runs programs of one directory, without arguments.
func (c *check) program(d *statement) {
	words := strings.Fields(d.rest())
	if len(words) == 0 {
		return
	}
	name := filepath.Base(words[0])
	if !farm.IsName(name) {
		c.Lose(d.at, "the program has a name that farmc does not take", "give it another name: "+farm.NamingRule)
		return
	}
	c.keys["program"] = name
	if len(words) > 1 {
		c.Lose(d.at, "programs of checks get no arguments", "write a program into "+farm.ChecksDir+
			" that calls this one; it gets the backend in environment variables")
		return
	}
	c.Lose(d.at, "farmc runs programs of "+farm.ChecksDir+" alone", "copy or link the program to that directory")
}

// finishMisc writes keepalived's default time, which is delay_loop.
func (c *check) finishMisc() bool {
	c.timeout = cmpPositive(c.running, c.interval)
	if !c.dynamic {
		c.Lose(c.at, "a status of 2 to 102 is a failure in keepalived, and a weight in farmc",
			"let the program end with 0 or 1")
	}
	if c.keys["program"] == nil {
		c.Lose(c.at, "MISC_CHECK has no program that farmc takes", "set program; the backend has no check")
		return false
	}
	return true
}

func (c *check) file(d *statement) bool {
	switch d.name() {
	case "track_file":
		path, known := c.trackFiles[d.word(1)]
		if !known || !filepath.IsAbs(path) {
			c.Lose(d.at, "the track_file has no absolute path in this configuration", "set file in [health]")
			return true
		}
		c.keys["file"] = path
	case "weight", "dynamic":
		c.Lose(d.at, "farmc multiplies no weight", `let the file begin with "up", "down" or a weight such as "50%"`)
	default:
		return false
	}
	return true
}

func (c *check) finishFile() bool {
	if c.keys["file"] == nil {
		return false
	}
	c.Lose(c.at, "keepalived reads a number from the file, and farmc a word",
		`let the file begin with "up", "down" or a weight such as "50%"`)
	return true
}
