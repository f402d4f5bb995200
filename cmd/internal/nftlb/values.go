package nftlb

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A reader turns the text of a request into the value that is listed. Ok is false for a value that has no effect.
type reader func(q *request, key, text string) (value string, ok bool)

// anyText takes each text.
func anyText(_ *request, _, text string) (string, bool) { return text, true }

// someText refuses the empty text.
func someText(q *request, key, text string) (string, bool) {
	if text == "" {
		q.stop(400, ". Key '%s' cannot be empty", key)
	}
	return text, text != ""
}

// oneOf takes one of several words; the first one stands for others.
func oneOf(words ...string) reader {
	return func(q *request, key, text string) (string, bool) {
		if slices.Contains(words, text) {
			return text, true
		}
		q.doubt(". Parsing unknown value '%s' in '%s', using default '%s'", text, key, words[0])
		return words[0], true
	}
}

// backendState takes the states of a backend, and the one that a listing makes of "up".
func backendState(q *request, key, text string) (string, bool) {
	if text == "available" && !q.lenient {
		return "up", true
	}
	return oneOf("up", "down", "off", "config_error")(q, key, text)
}

// somePorts takes numbers of ports, ranges, and lists of both, such as "80, 8000-8100". Lenient clients may write ports
// that nft refuses.
func somePorts(q *request, _, text string) (string, bool) {
	for word := range strings.SplitSeq(strings.ReplaceAll(text, " ", ""), ",") {
		first, last, isRange := strings.Cut(word, "-")
		if !isRange {
			last = first
		}
		if text != "" && text != "0" && !q.lenient && (port(first) == 0 || port(last) < port(first)) {
			q.stop(400, ". Invalid ports '%s': numbers from 1 to 65535, ranges, or a list of both", text)
			return "", false
		}
	}
	return text, true
}

// onePort takes the number of a port. Lenient clients may write a port that nft refuses.
func onePort(q *request, _, text string) (string, bool) {
	if text != "" && text != "0" && !q.lenient && port(text) == 0 {
		q.stop(400, ". Invalid port '%s': a number from 1 to 65535", text)
		return "", false
	}
	return text, true
}

// port returns the number of a port; 0 if a text is none.
func port(text string) int {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

var (
	clientWords  = []string{"srcip", "dstip", "srcport", "dstport", "srcmac", "dstmac"}
	logWords     = []string{"input", "forward", "output"}
	verdictWords = []string{"log", "drop", "accept"}
)

// found returns the words that are anywhere in a text.
func found(words []string, text string) (out []string) {
	for _, word := range words {
		if strings.Contains(text, word) {
			out = append(out, word)
		}
	}
	return out
}

// someClientWords reads "srcip srcport ", with a space after each word.
func someClientWords(q *request, _, text string) (string, bool) {
	words := found(clientWords, text)
	switch {
	case strings.Contains(text, "none"):
		return "none", true
	case len(words) == 0:
		q.doubt(". Parsing unknown value '%s', using default 'none'", text)
		return "none", true
	}
	return strings.Join(words, " ") + " ", true
}

// someLogWords reads "input forward output", with a space after the first two.
func someLogWords(q *request, key, text string) (string, bool) {
	words := found(logWords, text)
	switch {
	case strings.Contains(text, "none"):
		return "none", true
	case len(words) == 0:
		q.doubt(". Parsing unknown value '%s' in '%s', using default 'none'", text, key)
		return "none", true
	}
	return spaced(words, "output"), true
}

// verdict reads "log drop accept".
func verdict(q *request, key, text string) (string, bool) {
	words := found(verdictWords, text)
	if len(words) == 0 {
		q.doubt(". Parsing unknown value '%s' in '%s'", text, key)
		return "", false
	}
	return spaced(words, "accept"), true
}

// spaced joins words, with a space after each but the last one of all.
func spaced(words []string, last string) string {
	text := strings.Join(words, " ")
	if words[len(words)-1] != last {
		text += " "
	}
	return text
}

var leadingNumber = regexp.MustCompile(`^\s*[-+]?\d+`)

// number takes whole numbers from low on. Another text counts as 0: kube-nftlb sends times in base 32.
func number(low int) reader {
	return func(q *request, key, text string) (string, bool) {
		n, _ := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(leadingNumber.FindString(text)), "+"))
		if n < low {
			q.stop(400, ". Invalid value of key '%s' must be >=%d", key, low)
		}
		return strconv.Itoa(n), n >= low
	}
}

var rateForm = regexp.MustCompile(`^(-?\d+)/?([a-zA-Z]*)`)

// rate reads N/UNIT.
func rate(q *request, key, text string) (string, bool) {
	if text == "" || text[0] == '0' {
		return noRate, true
	}
	form := rateForm.FindStringSubmatch(text)
	if form == nil || strings.HasPrefix(text, "-") {
		q.stop(400, ". Invalid value of key '%s' must be >=0", key)
		return "", false
	}
	unit := form[2]
	if unit == "" {
		unit = "second"
	}
	if !slices.Contains([]string{"second", "minute", "hour", "day", "week"}, unit) {
		q.stop(400, ". Parsing unknown value '%s' in '%s'", text, key)
		return "", false
	}
	return form[1] + "/" + unit, true
}

const noRate = "0/second"

var hexForm = regexp.MustCompile(`^\s*(?:0[xX])?([0-9a-fA-F]+)`)

// aMark reads a hexadecimal number.
func aMark(_ *request, _, text string) (string, bool) {
	form := hexForm.FindStringSubmatch(text)
	if form == nil {
		return "0x0", true
	}
	n, err := strconv.ParseUint(form[1], 16, 32)
	return hex(n), err == nil
}

// onOff takes each text but on for off.
func onOff(_ *request, _, text string) (string, bool) {
	if text == "on" || text == "true" {
		return "on", true
	}
	return "off", true
}

// ignored takes what listings have and requests cannot set.
func ignored(*request, string, string) (string, bool) { return "", false }

// unusable refuses a key that no part of nftlb uses.
func unusable(index int) reader {
	return func(q *request, _, _ string) (string, bool) {
		q.stop(404, ". Unknown parsed key with index '%d'", index)
		return "", false
	}
}

// unsupported refuses a key.
func unsupported(q *request, _, _ string) (string, bool) {
	q.stop(400, "")
	return "", false
}
