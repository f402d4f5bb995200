package probe

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Result is the outcome of one check.
type Result struct {
	Healthy bool
	Percent int // of the configured weight, 0 to 100; 0 if not healthy
	// Unknown is set if this machine could not make the check: a file or permission is missing, or memory. Healthy is
	// false. Such a result says nothing about the backend.
	Unknown bool
	Reason  string // short and printable: "connection refused", "503, expected 200-399"; at most 200 bytes
	Took    time.Duration
}

func healthy(format string, args ...any) Result {
	return Result{Healthy: true, Percent: 100, Reason: reason(format, args...)}
}

func unhealthy(format string, args ...any) Result { return Result{Reason: reason(format, args...)} }

func unknown(format string, args ...any) Result {
	return Result{Unknown: true, Reason: reason(format, args...)}
}

// LongestReason is the number of bytes of a reason that the API takes.
const LongestReason = 200

func reason(format string, args ...any) string {
	if len(args) == 0 {
		return format
	}
	return printable(fmt.Sprintf(format, args...), LongestReason)
}

// printable replaces characters that change a terminal or break a line, and shortens the text to a number of bytes.
func printable(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if len(text) <= most {
		return text
	}
	const cut = "..."
	end := most - len(cut)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + cut
}
