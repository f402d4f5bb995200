package shell

import (
	"os/exec"
	"strings"
	"testing"
	"unicode"
)

// hostile are file names that do harm unquoted.
var hostile = []string{"a;touch HACKED;.toml", "$(reboot)", "`id`", "a b", "it's", "a\"b", "a\\b", "*", "~", "~root",
	"a\nb", "\x1b[31m", "\u200b", "\u200e", "\u202e", "\xff\xfe", "", "!!", "é", "a=b", "{a,b}", "#",
	"&", "%", "\x7f", "\x01" + "2"}

// TestQuote: bash reads the quoted word as the text, and a terminal shows all of it.
func TestQuote(t *testing.T) {
	for _, text := range hostile {
		word := Quote(text)
		out, err := exec.Command("bash", "-c", "printf '%s.' "+word).Output()
		if err != nil || string(out) != text+"." {
			t.Errorf("%q: bash reads %s as %q (%v)", text, word, out, err)
		}
		hidden := func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
		if strings.ContainsFunc(word, hidden) {
			t.Errorf("%q: the word %q is not printable", text, word)
		}
	}
}

func TestQuotePlain(t *testing.T) {
	for name, want := range map[string]string{"/etc/farms.d/web.toml": "/etc/farms.d/web.toml", "-r": "./-r"} {
		if got := Path(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
	if got := Quote("a\x00b"); got != "''" {
		t.Errorf("a NUL byte: got %s", got)
	}
}
