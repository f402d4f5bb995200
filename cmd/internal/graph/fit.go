package graph

import (
	"fmt"
	"strings"
)

// The families of fonts. A reader's machine has others than ours, so widths are for a wide font (DejaVu).
const (
	sansFamily = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"
	monoFamily = "ui-monospace, 'DejaVu Sans Mono', monospace"
)

// The widths of a character, in parts of the size of the font.
const (
	monoWidth = 0.61
	sansWidth = 0.62
	boldWidth = 0.70
)

func (f font) width(text string) float64 {
	per := sansWidth
	switch {
	case f.mono:
		per = monoWidth
	case f.weight != "":
		per = boldWidth
	}
	return f.size * per * float64(cells(text))
}

// cells counts the characters of a text. Characters of East Asian scripts are twice as wide.
func cells(text string) (n int) {
	for _, r := range text {
		n++
		if r >= 0x2e80 || 0x1100 <= r && r < 0x1160 {
			n++
		}
	}
	return n
}

const ellipsis = "…"

// fit cuts a text to a width. A text that is cut ends with an ellipsis.
func (f font) fit(text string, width float64) string {
	if f.width(text) <= width {
		return text
	}
	runes := []rune(text[:min(len(text), maxText)])
	for len(runes) > 0 && f.width(string(runes)+ellipsis) > width {
		runes = runes[:len(runes)-1]
	}
	return strings.TrimRight(string(runes), " ,") + ellipsis
}

// fitName cuts a name in its middle: names of backends mostly differ at their ends.
func (f font) fitName(name string, width float64) string {
	runes := []rune(name)
	if f.width(name) <= width || len(runes) < 2*endOfName {
		return f.fit(name, width)
	}
	end := string(runes[len(runes)-endOfName:])
	return f.fit(string(runes[:len(runes)-endOfName]), width-f.width(end)) + end
}

// endOfName is the number of characters that a name keeps at its end.
const endOfName = 8

// maxText is the number of bytes of a text that can be of interest: more have room in no line.
const maxText = 256

// maxDetails is the number of details that an item shows.
const maxDetails = 6

// lines breaks the details of an item into lines of a width: at most two for each detail, and a last one with the
// number of the details that are left out. A single detail more has its own place.
func (f font) lines(details []string, width float64) (out []string) {
	shown := details
	if len(details) > maxDetails+1 {
		shown = details[:maxDetails]
	}
	for _, detail := range shown {
		out = append(out, f.wrap(detail, width)...)
	}
	if more := len(details) - len(shown); more > 0 {
		out = append(out, fmt.Sprintf("and %s more", thousands(more)))
	}
	return out
}

// wrap breaks a text into at most two lines, behind a character that parts words.
func (f font) wrap(text string, width float64) []string {
	if f.width(text) <= width || len(text) > maxText {
		return []string{f.fit(text, width)}
	}
	at := 0
	for i, r := range text {
		if strings.ContainsRune(" ,/", r) && f.width(text[:i+1]) <= width {
			at = i + 1
		}
	}
	if at == 0 {
		return []string{f.fit(text, width)}
	}
	return []string{strings.TrimSpace(text[:at]), f.fit(strings.TrimSpace(text[at:]), width)}
}
