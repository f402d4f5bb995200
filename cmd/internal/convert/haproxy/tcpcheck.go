package haproxy

import (
	"strconv"
	"strings"

	"farmc/cmd/internal/convert"
)

// tcpCheck reads a line of tcp-check. A check of farmc opens one connection, sends one text and waits for one. Texts
// that are sent one after the other are one text. From the first further step on the lines are lost.
func (c *check) tcpCheck(r *convert.Result, d directive) {
	if c.cut || d.word(1) == "comment" {
		return
	}
	fits := false
	switch d.word(1) {
	case "connect":
		fits = c.connect(r, d)
	case "send":
		fits = c.send(d.word(2))
	case "send-binary":
		fits = c.send("hex:" + strings.ToLower(d.word(2)))
	case "expect":
		fits = c.expect(d.words[2:])
	}
	if !fits {
		c.cut = true
		r.Lose(d.at, "a check of farmc sends one text, and waits for one, so the check ends before this line",
			"write a program with type exec")
	}
}

// connect reads tcp-check connect, which can be the first step alone.
func (c *check) connect(r *convert.Result, d directive) bool {
	if c.keys["tcp-check"]["send"] != nil || c.keys["tcp-check"]["expect"] != nil || c.connected {
		return false
	}
	c.connected = true
	for i := 2; i < len(d.words); i++ {
		switch d.words[i] {
		case "port":
			i++
			if n, err := strconv.ParseUint(d.word(i), 10, 16); err == nil && n > 0 {
				c.setTCP("port", int64(n))
			}
		case "ssl":
			c.setTCP("type", "tls")
		case "sni":
			i++
			c.setTCP("tls-name", d.word(i))
		case "comment":
			i++
		case "default", "linger":
		default:
			r.Lose(d.at, "checks of farmc have no "+d.words[i], "leave it out")
			return true
		}
	}
	return true
}

// send adds a text, as long as no text is expected.
func (c *check) send(text string) bool {
	before, _ := c.keys["tcp-check"]["send"].(string)
	hexBefore, isHex := strings.HasPrefix(before, "hex:"), strings.HasPrefix(text, "hex:")
	if c.keys["tcp-check"]["expect"] != nil || before != "" && hexBefore != isHex {
		return false
	}
	if before != "" {
		text = strings.TrimPrefix(text, "hex:")
	}
	c.setTCP("send", before+text)
	return true
}

// expectOptions are the options of expect that stand before the text, each with a value.
var expectOptions = convert.Words("min-recv comment ok-status error-status tout-status on-success on-error status-code")

// expect reads the text to wait for. A regular expression does not fit.
func (c *check) expect(words []string) bool {
	for len(words) > 2 && expectOptions[words[0]] {
		words = words[2:]
	}
	if len(words) < 2 || c.keys["tcp-check"]["expect"] != nil {
		return false
	}
	switch words[0] {
	case "string":
		c.setTCP("expect", words[1])
	case "binary":
		c.setTCP("expect", "hex:"+strings.ToLower(words[1]))
	default:
		return false
	}
	return true
}
