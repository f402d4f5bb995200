package compiler

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The readers here are of keys whose effect is still to come: what they hold is looked at as strictly as all else, so
// that a farm that is accepted later was right from the start, and effective says that they don't work yet.

// interfaceNaming is what Linux and nft take for the name of a network interface (IFNAMSIZ, dev_valid_name).
var interfaceNaming = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$`)

func readInterfaces(t *table, key string) []string {
	var out []string
	for _, w := range t.words(key) {
		switch {
		case !interfaceNaming.MatchString(w.text):
			t.fault(w.place, "", "%s: %q can't be the name of an interface", key, w.text)
		case slices.Contains(out, w.text):
			t.fault(w.place, "", "%s: %s stands here twice", key, w.text)
		default:
			out = append(out, w.text)
		}
	}
	return out
}

func readInterface(t *table) string {
	name := t.text("interface")
	if name != "" && !interfaceNaming.MatchString(name) {
		t.fault(t.at("interface"), "", "interface: %q can't be the name of an interface", name)
	}
	return name
}

func readMAC(t *table) string {
	text := t.text("mac")
	mac, err := net.ParseMAC(text)
	if text != "" && (err != nil || len(mac) != 6) {
		t.fault(t.at("mac"), `mac = "02:00:00:00:00:01"`, "mac: %q is not an Ethernet address", text)
	}
	return mac.String()
}

// readTableSize reads the size of maglev's table, a prime so that every backend's way through it meets every slot.
func readTableSize(t *table) int {
	n := t.number("table-size", 0, 2, 65537)
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			t.fault(t.at("table-size"), "a prime: 251, 1021, 4093, 65537", "table-size: %d is %d times %d", n, d, n/d)
			return 0
		}
	}
	return n
}

// readMark reads "0x10/0xff", or a plain number, which stands for all bits.
func readMark(t *table) Mark {
	v, ok := t.raw("mark")
	if !ok {
		return Mark{}
	}
	const rule = `mark = "0x10/0xff", or a plain number, 1 to 4294967295`
	text := fmt.Sprint(v.data)
	if _, isText := v.data.(string); !isText {
		if n, isNumber := v.data.(int64); !isNumber || n < 1 || n > 1<<32-1 {
			t.fault(v.place, rule, "mark is %s, not a mark", text)
			return Mark{}
		}
	}
	number, bits, masked := strings.Cut(text, "/")
	if !masked {
		bits = "0xffffffff"
	}
	n, errN := strconv.ParseUint(number, 0, 32)
	m, errM := strconv.ParseUint(bits, 0, 32)
	switch {
	case errN != nil || errM != nil || m == 0 || n == 0 && !masked:
		t.fault(v.place, rule, "mark: %q is not a mark", text)
	case n&^m != 0:
		t.fault(v.place, "", "mark: %s has bits outside of its mask", text)
	}
	return Mark{uint32(n), uint32(m)}
}

func readQueue(t *table) (first, last uint16) {
	v, ok := t.raw("queue")
	if !ok {
		return 0, 0
	}
	from, to, isRange := strings.Cut(fmt.Sprint(v.data), "-")
	if !isRange {
		to = from
	}
	a, errA := strconv.ParseUint(from, 10, 16)
	b, errB := strconv.ParseUint(to, 10, 16)
	if errA != nil || errB != nil || b < a {
		t.fault(v.place, `queue = "0-3"`, "queue: %q is not a number or a range of numbers, 0 to 65535", fmt.Sprint(v.data))
	}
	return uint16(a), uint16(b)
}

func readPersistence(t *table) {
	if t == nil {
		return
	}
	on := readHashKeys(t, "on")
	t.duration("timeout")
	if t.has("prefix") {
		if lengths := t.numbers("prefix", 1, 128); len(lengths) == 1 || len(lengths) > 2 || len(lengths) == 2 && lengths[0] > 32 {
			t.fault(t.at("prefix"), "prefix = [24, 64]", "prefix: wants the length for IPv4, 1 to 32, and the one for IPv6, 1 to 128")
		}
	}
	for _, e := range t.entries("static") {
		if parts := strings.Split(e.key.text, " . "); len(parts) != max(len(on), 1) {
			t.fault(e.key.place, `several keys are written "198.51.100.7 . 5060"`, "static: %q has %d parts, and persistence is on %d", e.key.text, len(parts), max(len(on), 1))
		}
		if !backendNaming.MatchString(e.value.text) {
			t.fault(e.value.place, backendNamingRule, "static: %q can't be the name of a backend", e.value.text)
		}
	}
}

func readAccess(t *table, lists map[string][]network) {
	if t == nil {
		return
	}
	for _, key := range []string{"allow", "deny"} {
		for _, w := range t.words(key) {
			readAccessEntry(t, key, w, lists)
		}
	}
}

func readAccessEntry(t *table, key string, w word, lists map[string][]network) {
	name, isList := strings.CutPrefix(w.text, "@")
	switch {
	case isList && !farmNaming.MatchString(name):
		t.fault(w.place, farmNamingRule, "%s: %q can't be the name of a list", key, name)
	case isList:
		if _, ok := lists[name]; !ok {
			t.fault(w.place, "a list is a file beside the farms: "+name+".list", "%s: there is no list %s", key, name)
		}
	case w.text == "any" && key == "deny":
	default:
		if _, err := parseNetwork(w.text); err != nil {
			t.fault(w.place, networkRule+`, or "@list"`, "%s: %v", key, err)
		}
	}
}

func readLimits(t *table) {
	if t == nil {
		return
	}
	for _, key := range []string{"new-per-client", "resets-per-client", "new"} {
		readRate(t.sub(key))
	}
	t.number("connections-per-client", 0, 1, 1<<31-1)
	t.number("connections", 0, 1, 1<<31-1)
	t.number("clients", 65535, 1, 1<<24)
	t.duration("ban")
	t.flag("strict-tcp", false)
	t.choice("verdict", "drop", "drop", "reject", "log")
}

var rateForm = regexp.MustCompile(`^([0-9]{1,9})/(second|minute|hour|day)$`)

func checkRate(t *table, key string) {
	text := t.text(key)
	if text == "" && !t.has(key) {
		return
	}
	if m := rateForm.FindStringSubmatch(text); m == nil || strings.Trim(m[1], "0") == "" {
		t.fault(t.at(key), `"10/second", "10/minute", "10/hour" or "10/day"`, "%s: %q is not a rate", key, text)
	}
}

func readRate(t *table) {
	if t == nil {
		return
	}
	if !t.has("rate") {
		t.fault(t.place, `{ rate = "10/second", burst = 20 }`, "%s has no rate", t.name)
	}
	checkRate(t, "rate")
	t.number("burst", 5, 1, 1<<31-1)
}

var placeholder = regexp.MustCompile(`\{[^}]*\}?`)

func readLog(t *table) {
	if t == nil {
		return
	}
	for _, w := range t.words("on") {
		if on := []string{"input", "forward", "output", "denied", "limited"}; !slices.Contains(on, w.text) {
			t.fault(w.place, "one of "+strings.Join(on, ", "), "on: %q is nothing that can be logged", w.text)
		}
	}
	checkPrefix(t)
	checkRate(t, "rate")
}

// checkPrefix holds the text of a log line to what nft can carry: it has no escapes, and 127 bytes at most.
func checkPrefix(t *table) {
	text := t.text("prefix")
	for _, p := range placeholder.FindAllString(text, -1) {
		if !slices.Contains([]string{"{farm}", "{backend}", "{list}", "{reason}"}, p) {
			t.fault(t.at("prefix"), "{farm}, {backend}, {list} and {reason} are replaced", "prefix: nothing is known that could replace %q", p)
		}
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune("\"\\`$", r) }) || len(text) > 64 {
		t.fault(t.at("prefix"), `printable ASCII without quotes, backslashes and dollar signs, 64 at most`, "prefix: %q can't be carried by a rule", text)
	}
}
