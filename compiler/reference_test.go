package compiler_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
)

// needs are the keys that another key requires.
var needs = map[string]string{
	"per-packet": "mode = \"dsr\"",
	"zone":       "interfaces = \"eth0\"",
	"gateway":    "mode = \"stateless\"\ninterfaces = \"eth0\"",
	"log-only":   `log = { on = "denied" }`,
	"hash-on":    `scheduler = "hash"`,
	"table-size": `scheduler = "maglev"`,
	"interface":  `mode = "dsr"`,
	"mac":        `mode = "dsr"`,
	"hairpin":    `mode = "dnat"`,
	"sources":    `mode = "local"`,
}

// beside are keys that have no effect without another one of their table.
var beside = map[string]string{"allow": "deny", "exempt": "deny", "order": "deny", "clients": "new-per-client",
	"verdict": "new-per-client", "synproxy-mss": "synproxy", "synproxy-wscale": "synproxy",
	"dns-type": "dns-name", "dns-answer": "dns-name"}

// checkTypes are types of checks that a key of [health] has an effect on; "" if it needs none.
func checkTypes() map[string]string {
	out := map[string]string{}
	for _, k := range farm.Keys() {
		if k.Table == "health" && k.Types != nil {
			out[k.Name] = string(k.Types[0])
		}
	}
	return out
}

// A referenceKey is a line of the reference that can be uncommented, or stands there as it is.
type referenceKey struct {
	table, key string
	commented  bool
	line       int // from 0
	header     int // of the table, if that is a comment, too; else -1
	said       string
}

var (
	referenceLine  = regexp.MustCompile(`^(#?)([a-z][a-z-]*) = .*?(?:\s{2,}# (.*))?$`)
	referenceTable = regexp.MustCompile(`^(#?)\[([a-z0-9.]+)\]`)
	saidModes      = regexp.MustCompile(
		`^((?:snat|dnat|dsr|stateless|local)(?:, (?:snat|dnat|dsr|stateless|local))*)(?::|$| )`,
	)
)

func reference(t *testing.T) (lines []string, keys []referenceKey) {
	t.Helper()
	text, err := os.ReadFile("../farms.d/reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	lines = strings.Split(string(text), "\n")
	table, header, said := "", -1, ""
	for i, line := range lines {
		if at := referenceTable.FindStringSubmatch(line); at != nil {
			table, header, said = at[2], -1, ""
			if at[1] != "" {
				header, said = i, paragraphAbove(lines, i)
			}
		} else if at := referenceLine.FindStringSubmatch(line); at != nil {
			keys = append(keys, referenceKey{table, at[2], at[1] != "", i, header, at[3] + said})
		}
	}
	return lines, keys
}

func paragraphAbove(lines []string, i int) string {
	from := i
	for from > 0 && strings.HasPrefix(lines[from-1], "# ") {
		from--
	}
	return " " + strings.Join(lines[from:i], " ")
}

func (k referenceKey) String() string { return strings.TrimPrefix(k.table+"."+k.key, ".") }

// uncommented is the reference with this key in effect, in a farm that fits.
func (k referenceKey) uncommented(lines []string, mode string) string {
	lines = slices.Clone(lines)
	for _, i := range []int{k.header, k.line} {
		if i >= 0 {
			lines[i] = strings.TrimPrefix(lines[i], "#")
		}
	}
	if first := k.header + 1; k.table == "log" {
		lines[first] = strings.TrimPrefix(lines[first], "#") // log.on, without which the others say nothing
	}
	if other := beside[k.key]; other != "" {
		i := k.header + slices.IndexFunc(
			lines[k.header:],
			func(line string) bool { return strings.HasPrefix(line, "#"+other+" = ") },
		)
		lines[i] = lines[i][1:]
	}
	if checked := checkTypes()[k.key]; k.table == "health" && checked != "" {
		lines[k.header+1] = `type = "` + checked + `"`
	}
	need := needs[k.key]
	if mode != "" {
		need = strings.NewReplacer(`mode = "dsr"`, "", `mode = "stateless"`, "", `mode = "dnat"`, "", `mode = "local"`,
			"").Replace(need) +
			"\nmode = \"" + mode + "\""
	}
	if (strings.Contains(need, "dsr") || strings.Contains(lines[k.line], `"dsr"`)) && k.key != "interfaces" {
		need += "\ninterfaces = \"eth0\""
	}
	isLocal := strings.Contains(need+lines[k.line], `mode = "local"`)
	if isLocal && !strings.HasPrefix(k.table, "backends") {
		lines = lines[:slices.Index(lines, "[backends.b1]")]
	}
	text := need + "\n" + strings.Join(lines, "\n")
	if k.key == "udp" {
		text = strings.Replace(text, `"192.0.2.99:80"`, `"192.0.2.99:80/udp"`, 1)
	}
	return text
}

func compileReference(text string) diag.Diagnostics {
	_, told := compiler.Compile([]farm.Dir{{FS: fstest.MapFS{"web.toml": {Data: []byte(text)}}}})
	return told
}

func TestReferenceCompiles(t *testing.T) {
	lines, _ := reference(t)
	if told := compileReference(strings.Join(lines, "\n")); len(told) > 0 {
		t.Error(compilertest.Printed(told))
	}
}

// TestReferenceKeys uncomments each key alone: it works.
func TestReferenceKeys(t *testing.T) {
	lines, keys := reference(t)
	for _, k := range keys {
		t.Run(k.String(), func(t *testing.T) {
			if told := compileReference(k.uncommented(lines, "")); len(told) > 0 {
				t.Error(compilertest.Printed(told))
			}
		})
	}
}

// TestReferenceModes: where a comment begins with the modes that take a key, these modes take it, and no others.
func TestReferenceModes(t *testing.T) {
	lines, keys := reference(t)
	tried := 0
	for _, k := range keys {
		modes := saidModes.FindStringSubmatch(k.said)
		if modes == nil || k.key == "mode" {
			continue
		}
		tried++
		for _, mode := range []string{"snat", "dnat", "dsr", "stateless", "local"} {
			told := compileReference(k.uncommented(lines, mode))
			refused := slices.ContainsFunc(told, func(d diag.Diagnostic) bool {
				return strings.Contains(d.Message, k.key+" has no effect in mode "+mode) ||
					strings.HasPrefix(k.table, "backends") &&
						strings.Contains(d.Message, "backends has no effect in mode "+mode)
			})
			if takes := slices.Contains(strings.Split(modes[1], ", "), mode); takes == refused {
				t.Errorf("%s is said to work in mode %s; mode %s: %s", k, modes[1], mode, compilertest.Printed(told))
			}
		}
	}
	if tried < 5 {
		t.Errorf("only %d keys say which modes take them", tried)
	}
}

// TestReferenceChoices tries each value that stands in a list of its own above a key.
func TestReferenceChoices(t *testing.T) {
	lines, keys := reference(t)
	for _, k := range keys {
		if k.table != "" || k.key != "mode" && k.key != "scheduler" {
			continue
		}
		seen := 0
		for i := k.line - 1; strings.HasPrefix(lines[i], "# "); i-- {
			value := strings.Fields(lines[i])[1]
			if indented := strings.HasPrefix(lines[i], "# "+value+"  "); !indented &&
				!strings.HasPrefix(lines[i], "# "+value+" (") {
				continue
			}
			seen++
			changed := slices.Clone(lines)
			changed[k.line] = "#" + k.key + ` = "` + value + `"`
			told := compileReference(k.uncommented(changed, ""))
			if len(told) > 0 {
				t.Errorf("%s = %q, of which is said %q, comes to: %s", k, value, lines[i], compilertest.Printed(told))
			}
		}
		if seen < 5 {
			t.Errorf("of %s %d values are explained", k, seen)
		}
	}
}

// TestHealthChangesNoRule compiles a farm of each mode with all rules of judgement and a check, and without.
func TestHealthChangesNoRule(t *testing.T) {
	const text = "mode = %q\nlisten = '192.0.2.10:80'\n%s%s[backends.b1]\naddress = '10.0.0.11'\n%s" +
		"[backends.b2]\naddress = '10.0.0.12'\n"
	const ofFarm = "[health]\ntype = 'http'\nagree = 2\non-fail = 'drain'\nslow-start = '1m'\npanic = '30%'\n"
	for _, mode := range []string{"snat", "dnat", "stateless", "dsr"} {
		interfaces := map[string]string{"dsr": "interfaces = 'eth0'\n"}[mode]
		script := func(ofFarm, ofBackend string) string {
			text := fmt.Sprintf(text, mode, interfaces, ofFarm, ofBackend)
			out, told := compiler.Compile([]farm.Dir{{FS: fstest.MapFS{"web.toml": {Data: []byte(text)}}}})
			if told.Faulty() {
				t.Fatal(compilertest.Printed(told))
			}
			return string(out.Text)
		}
		if with, without := script(ofFarm, "health.type = 'none'\n"), script("", ""); with != without {
			t.Errorf("mode %s: the script with [health] is another one:\n%s", mode, with)
		}
	}
}
