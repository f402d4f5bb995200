package farm

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"farmc/compiler/toml"
)

// longestText is the length of a text of [health] in bytes.
const longestText = 1024

// duration is a time within bounds.
func duration[T any](least, most time.Duration, at func(T) *time.Duration) value[T] {
	return value[T]{
		kind: DurationType,
		read: func(k *Key, t *toml.Table, into T) {
			if t.Has(k.Name) {
				*at(into) = durationBetween(t, k.Name, least, most)
			}
		},
		describe: func(k *Key, of T) string {
			if d := *at(of); d != 0 && toml.FormatDuration(d) != k.Default {
				return toml.FormatDuration(d)
			}
			return ""
		},
	}
}

// durationBetween reads a duration; it is 0 after a fault.
func durationBetween(t *toml.Table, name string, least, most time.Duration) time.Duration {
	switch d := t.Duration(name); {
	case d == 0:
	case d < least:
		t.Fault(t.At(name), "", "%s is %s, at least %s", name, toml.FormatDuration(d), toml.FormatDuration(least))
	case d > most:
		t.Fault(t.At(name), "", "%s is %s, at most %s", name, toml.FormatDuration(d), toml.FormatDuration(most))
	default:
		return d
	}
	return 0
}

var percentPattern = regexp.MustCompile(`^([0-9]{1,3})%$`)

// percent is a share such as "30%", within the key's bounds.
func percent[T any](at func(T) *int) value[T] {
	return value[T]{
		kind: PercentType,
		read: func(k *Key, t *toml.Table, into T) {
			if t.Has(k.Name) {
				*at(into) = readShare(k, t)
			}
		},
		describe: func(k *Key, of T) string {
			text := strconv.Itoa(*at(of)) + "%"
			if text == k.Default || k.Default == "" && *at(of) == 0 {
				return ""
			}
			return text
		},
	}
}

func readShare(k *Key, t *toml.Table) int {
	v, _ := t.Raw(k.Name)
	text, _ := v.Data.(string)
	if m := percentPattern.FindStringSubmatch(text); m != nil {
		if n, _ := strconv.Atoi(m[1]); k.Least <= n && n <= k.Most {
			return n
		}
	}
	t.Fault(v.Place, fmt.Sprintf("%q to %q", strconv.Itoa(k.Least)+"%", strconv.Itoa(k.Most)+"%"),
		"%s is %s, not such a share", k.Name, valueWords(v.Data))
	return 0
}

// valueWords quotes a text, and writes another value as it is.
func valueWords(data any) string {
	switch data := data.(type) {
	case string:
		return strconv.Quote(data)
	case int64, float64, bool:
		return fmt.Sprint(data)
	}
	return "of another type"
}

// A textReader reads a text, and returns a fault and a hint for a text that the key cannot have.
type textReader func(text string) (fault, hint string)

// written is a text that is described as it is: its reader admits printable characters alone.
func written[T any](check textReader, at func(T) *string) value[T] {
	return checkedText(check, at, func(text string) string { return text })
}

// quotedText is a text that is described in quotes.
func quotedText[T any](check textReader, at func(T) *string) value[T] {
	return checkedText(check, at, func(text string) string { return strconv.Quote(text) })
}

func checkedText[T any](check textReader, at func(T) *string, words func(string) string) value[T] {
	return value[T]{
		kind: TextType,
		read: func(k *Key, t *toml.Table, into T) {
			text, given := readText(t, k.Name)
			if !given {
				return
			}
			if fault, hint := check(text); fault != "" {
				t.Fault(t.At(k.Name), hint, "%s: %q %s", k.Name, text, fault)
				return
			}
			*at(into) = text
		},
		describe: func(k *Key, of T) string {
			if text := *at(of); text != "" && text != k.Default {
				return words(text)
			}
			return ""
		},
	}
}

// readText reads a text that is not empty and not too long.
func readText(t *toml.Table, name string) (text string, ok bool) {
	v, given := t.Raw(name)
	if !given {
		return "", false
	}
	text = t.Text(name)
	_, isText := v.Data.(string)
	switch {
	case !isText: // a fault of its own
	case text == "":
		t.Fault(v.Place, "", "%s is empty", name)
	case len(text) > longestText:
		t.Fault(v.Place, "", "%s has %d bytes, at most %d", name, len(text), longestText)
	default:
		return text, true
	}
	return "", false
}

// readLine takes a text of printable characters.
func readLine(text string) (fault, hint string) {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "has a character that cannot be printed", ""
	}
	return "", ""
}

// isPlain reports whether a text has ASCII characters alone, and no space: it is a word of a protocol.
func isPlain(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

func readURLPath(text string) (fault, hint string) {
	if !strings.HasPrefix(text, "/") || !isPlain(text) || strings.Contains(text, "#") {
		return "is not the path of a URL", `"/healthz" or "/status?full=1", other characters as %XX`
	}
	return "", ""
}

var namePattern = regexp.MustCompile(`^(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*` +
	`[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?$`)

// longestDNSName is the length of a name in the DNS.
const longestDNSName = 253

func isDNSName(text string) bool { return len(text) <= longestDNSName && namePattern.MatchString(text) }

func readDNSName(text string) (fault, hint string) {
	if !isDNSName(text) {
		return "is not a name of the DNS", `"www.example.com"`
	}
	return "", ""
}

var portSuffix = regexp.MustCompile(`:[0-9]{1,5}$`)

// readHost takes a name or an address, each with or without a port.
func readHost(text string) (fault, hint string) {
	if _, err := netip.ParseAddrPort(text); err == nil || isDNSName(portSuffix.ReplaceAllString(text, "")) {
		return "", ""
	}
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil && a.Is6() && a.Zone() == "" && text[0] == '[' {
		return "", ""
	}
	return "is not a host", `"www.example.com", "www.example.com:8080", "192.0.2.1" or "[2001:db8::1]"`
}

// readFilePath takes the path of a file. Special files have effects when they are opened.
func readFilePath(text string) (fault, hint string) {
	special := slices.ContainsFunc([]string{"/dev/", "/proc/", "/sys/"},
		func(dir string) bool { return strings.HasPrefix(text, dir) })
	switch {
	case !path.IsAbs(text) || path.Clean(text) != text || !isPlain(text):
		return "is not the path of a file", "an absolute path without spaces and .."
	case special:
		return "is not a regular file", "a file outside of /dev, /proc and /sys"
	}
	return "", ""
}

// readProgram takes the name of a file in ChecksDir. A path or arguments would let the author of a farm run commands.
func readProgram(text string) (fault, hint string) {
	if !IsName(text) {
		return "is not the name of a program", "the name of a file in " + ChecksDir + ", without a path and arguments"
	}
	return "", ""
}

// hexPrefix begins a payload that is written in hexadecimal digits.
const hexPrefix = "hex:"

// readPayload reads bytes: a text, or hexadecimal digits.
func readPayload(t *toml.Table, name string) Payload {
	text, _ := readText(t, name)
	digits, isHex := strings.CutPrefix(text, hexPrefix)
	if !isHex {
		return Payload(text)
	}
	bytes, err := hex.DecodeString(digits)
	if err != nil || len(bytes) == 0 {
		t.Fault(t.At(name), `"hex:0a0b0c"`, "%s: %q is not hexadecimal", name, text)
	}
	return Payload(bytes)
}

// readBodyRegexp reads a regular expression.
func readBodyRegexp(k *Key, t *toml.Table, h *Health) {
	text, given := readText(t, k.Name)
	if !given {
		return
	}
	expression, err := regexp.Compile(text)
	if err != nil {
		t.Fault(t.At(k.Name), "the syntax is that of RE2", "%s: %v", k.Name, err)
		return
	}
	h.BodyRegexp = expression
}

func describeBodyRegexp(_ *Key, h *Health) string {
	if h.BodyRegexp == nil {
		return ""
	}
	return strconv.Quote(h.BodyRegexp.String())
}

// maxStatuses is the number of ranges that a farm can accept.
const maxStatuses = 32

// readStatus reads numbers and ranges of them, as one value or as a list.
func readStatus(k *Key, t *toml.Table, h *Health) {
	v, given := t.Raw(k.Name)
	if !given {
		return
	}
	items, isList := v.Data.([]toml.Value)
	if !isList {
		items = []toml.Value{v}
	}
	if len(items) == 0 || len(items) > maxStatuses {
		t.Fault(v.Place, "", "%s has %d items, 1 to %d", k.Name, len(items), maxStatuses)
	}
	h.Status = nil
	for _, item := range items {
		s, ok := parseStatus(fmt.Sprint(item.Data))
		if !ok {
			t.Fault(item.Place, `"200-399", or 200`, "%s: %s is not a range of status codes", k.Name,
				valueWords(item.Data))
			continue
		}
		h.Status = append(h.Status, s)
	}
	slices.SortFunc(h.Status, func(a, b Status) int { return a.First - b.First })
}

var statusPattern = regexp.MustCompile(`^([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?$`)

func parseStatus(text string) (s Status, ok bool) {
	m := statusPattern.FindStringSubmatch(text)
	if m == nil {
		return s, false
	}
	s.First, _ = strconv.Atoi(m[1])
	s.Last = s.First
	if m[2] != "" {
		s.Last, _ = strconv.Atoi(m[2])
	}
	return s, s.First <= s.Last
}

func describeStatus(k *Key, h *Health) string {
	if text := listed(h.Status); text != k.Default {
		return text
	}
	return ""
}
