package compiler_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
)

// FuzzCompile gives Compile anything as a farm, a drop-in, a list and the name of a file: it comes to an end, it says
// nothing that would steer a terminal, and a script is made of nothing but the forms that the templates have.
func FuzzCompile(f *testing.F) {
	for _, name := range compilertest.Cases(f) {
		filepath.WalkDir(compilertest.GoldenFile(f, name), func(path string, d fs.DirEntry, err error) error {
			if text, err := os.ReadFile(path); err == nil && strings.HasSuffix(path, ".toml") {
				f.Add(text, []byte("[backends.b1]\nstate = \"down\"\n"), []byte("192.0.2.0/24\n"), "shop")
			}
			return nil
		})
	}
	for _, text := range hostile {
		f.Add([]byte("listen = "+tomlString(text)), []byte("description = "+tomlString(text)), []byte(text), text)
	}
	f.Fuzz(func(t *testing.T, farm, dropIn, list []byte, name string) {
		files := fstest.MapFS{
			"web.toml":               {Data: farm},
			"web.toml.d/health.toml": {Data: dropIn},
			"office.list":            {Data: list},
		}
		if len(dropIn) == 0 {
			delete(files, "web.toml.d/health.toml")
		}
		if fs.ValidPath(name+".toml") && !strings.Contains(name, "/") && len(name) < 250 {
			files[name+".toml"] = &fstest.MapFile{Data: []byte(fittingFarm)}
			files[name+".list"] = &fstest.MapFile{Data: list}
			files["listed.toml"] = &fstest.MapFile{
				Data: []byte(
					"listen = \"198.51.100.2/all\"\n" +
						"access.allow = \"@office\"\naccess.deny = [\"@office\", \"any\"]\n" +
						"[backends.b1]\naddress = \"10.0.0.11\"\n",
				),
			}
			files[name+".toml.d/"+name+".toml"] = &fstest.MapFile{Data: dropIn}
		}
		harmless(t, files)
	})
}

const fittingFarm = "listen = \"198.51.100.1:1\"\n[backends.b1]\naddress = \"10.0.0.11\"\n"

// harmless compiles files of unknown origin, and gives the script, if there is one.
func harmless(t testing.TB, files fstest.MapFS) string {
	t.Helper()
	begin := time.Now()
	script, told := compiler.Compile([]farm.Dir{{Path: "farms.d", FS: files}})
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("it took %s", took)
	}
	if said := compilertest.Printed(told); strings.ContainsFunc(said, steers) {
		t.Errorf("a terminal would obey: %q", said)
	}
	if (script == nil) != told.Faulty() {
		t.Errorf("script %t, faulty %t", script != nil, told.Faulty())
	}
	if script == nil {
		return ""
	}
	if _, err := compilertest.ReadScript(string(script.Text)); err != nil {
		t.Errorf("%v in the script of %q", err, files["web.toml"].Data)
	}
	return string(script.Text)
}

// steers says whether a rune is one that a terminal obeys, or that makes text look like another.
func steers(r rune) bool {
	return r != '\n' &&
		(unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) && r != '\u061c' && r != '\u200e' && r != '\u200f')
}

// hostile are texts that would be a statement, the end of one, or something else to a reader that isn't careful.
var hostile = []string{
	`"; drop; #`,
	`web" : accept, #`,
	`web; flush ruleset`,
	"web\n}\ntable inet evil {\n}\n",
	"web\r\nflush ruleset",
	"web\x00",
	"\x00",
	"web\x012\x02",
	"\x1b[2J\x1b]0;owned\x07",
	`{ 0.0.0.0/0 : accept }`,
	`}`, `{`, `;`, `#`, `"`, `'`, `\`, `\"`, `$web`, `@web`, "`id`", `$(id)`, `{{.}}`, `%s%n`, `*`, `-`, `.`, `..`, `/`,
	`../../etc/passwd`,
	`goto no-backend`,
	`192.0.2.10:80 } ; add rule inet farmc prerouting drop`,
	`192.0.2.10:80/tcp; drop`,
	"192.0.2.10:80\n",
	"192.0.2.10:80\t",
	" 192.0.2.10:80",
	`192.0.2.10 . 80`,
	addressRange,
	`10.0.0.11 comment "x"`,
	`fd00::11%eth0; drop`,
	`::ffff:10.0.0.11`,
	`１９２.0.2.10:80`, // fullwidth digits
	`192.0.2.10:８０`,
	`192。0。2。10`,
	`wеb`, // a Cyrillic letter
	`ｗｅｂ`,
	"we\u0301b", "web\u00a0", "web\u200b", "\u202ebew", "\ufeffweb", "\u2028", "\ufffd",
	"10/second; drop", "1m; drop", "0x10/0xff drop", "0-3; drop", "ftp\"", "eth0\" }", "02:00:00:00:00:01; drop",
	`wub;drop`, `wub{`, `wub}`, `wub#`, `wub"`, `wub\`, "wub\t",
	`wub/ip4`, `wub:80`, `wub@x`, `wub$`, `wub,`, `wub|`, `wub=`,
	strings.Repeat("a", 97),
	strings.Repeat("web", 1000),
	strings.Repeat("(", 100000),
	"include \"/etc/shadow\"",
}

// tomlString writes a text as a string that TOML takes.
func tomlString(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range text {
		if r < ' ' || r == '"' || r == '\\' || r == 0x7f {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		out.WriteRune(r)
	}
	out.WriteByte('"')
	return out.String()
}

// stringKeys are farms in which one place is left for a string: every key that takes one, and every name.
var stringKeys = map[string]string{
	"description":           "description = %s\n" + fittingFarm,
	"mode":                  "mode = %s\n" + fittingFarm,
	"listen":                "listen = %s\n[backends.b1]\naddress = \"10.0.0.11\"\n",
	"listen-of-several":     "listen = [\"192.0.2.10:80\", %s]\n[backends.b1]\naddress = \"10.0.0.11\"\n",
	"state":                 "state = %s\n" + fittingFarm,
	"scheduler":             "scheduler = %s\n" + fittingFarm,
	"hash-on":               "scheduler = \"hash\"\nhash-on = %s\n" + fittingFarm,
	"table-size":            "scheduler = \"maglev\"\ntable-size = %s\n" + fittingFarm,
	"interfaces":            "interfaces = %s\n" + fittingFarm,
	"interfaces-of-dsr":     "mode = \"dsr\"\ninterfaces = [\"eth0\", %s]\n" + fittingFarm,
	"source-address":        "source-address = %s\n" + fittingFarm,
	"local-clients":         "local-clients = %s\n" + fittingFarm,
	"invalid":               "invalid = %s\n" + fittingFarm,
	"flow-offload":          "flow-offload = %s\n" + fittingFarm,
	"hairpin":               "mode = \"dnat\"\nhairpin = %s\n" + fittingFarm,
	"outgoing":              "outgoing = %s\n" + fittingFarm,
	"sources":               "mode = \"local\"\nlisten = \"192.0.2.10:80\"\nsources = { \"1\" = %s }\n",
	"sources-of":            "mode = \"local\"\nlisten = \"192.0.2.10:80\"\nsources = { %s = \"10.0.0.1\" }\n",
	"helper":                "helper = %s\n" + fittingFarm,
	"timeouts":              "timeouts = { half-closed = %s }\n" + fittingFarm,
	"mark":                  "mark = %s\n" + fittingFarm,
	"queue":                 "queue = %s\n" + fittingFarm,
	"persistence.on":        fittingFarm + "[persistence]\non = %s\n",
	"persistence.timeout":   fittingFarm + "[persistence]\ntimeout = %s\n",
	"persistence.prefix":    fittingFarm + "[persistence]\nprefix = %s\n",
	"persistence.group":     fittingFarm + "[persistence]\ngroup = %s\n",
	"persistence.static":    fittingFarm + "[persistence]\nstatic = { \"198.51.100.7\" = %s }\n",
	"persistence.static-of": fittingFarm + "[persistence]\nstatic = { %s = \"b1\" }\n",
	"access.allow":          fittingFarm + "[access]\nallow = %s\n",
	"access.deny":           fittingFarm + "[access]\ndeny = [\"any\", %s]\n",
	"limits.new":            fittingFarm + "[limits]\nnew = { rate = %s }\n",
	"limits.burst":          fittingFarm + "[limits]\nnew = { rate = \"1/second\", burst = %s }\n",
	"limits.new-per-client": fittingFarm + "[limits]\nnew-per-client = { rate = %s }\n",
	"limits.resets":         fittingFarm + "[limits]\nresets-per-client = { rate = %s }\n",
	"limits.connections":    fittingFarm + "[limits]\nconnections = %s\n",
	"limits.ban":            fittingFarm + "[limits]\nban = %s\n",
	"limits.verdict":        fittingFarm + "[limits]\nverdict = %s\n",
	"log.on":                fittingFarm + "[log]\non = %s\n",
	"log.prefix":            fittingFarm + "[log]\non = \"denied\"\nprefix = %s\n",
	"log.rate":              fittingFarm + "[log]\non = \"denied\"\nrate = %s\n",
	"address":               "listen = \"192.0.2.10:80\"\n[backends.b1]\naddress = %s\n",
	"address-of-several":    "listen = \"192.0.2.10:80\"\n[backends.b1]\naddress = [\"10.0.0.11\", %s]\n",
	"port":                  fittingFarm + "port = %s\n",
	"weight":                fittingFarm + "weight = %s\n",
	"priority":              fittingFarm + "priority = %s\n",
	"backend-state":         fittingFarm + "state = %s\n",
	"backend-source":        fittingFarm + "source-address = %s\n",
	"backend-connections":   fittingFarm + "connections = %s\n",
	"backend-mark":          fittingFarm + "mark = %s\n",
	"interface":             "mode = \"dsr\"\ninterfaces = \"eth0\"\n" + fittingFarm + "interface = %s\n",
	"mac":                   "mode = \"dsr\"\ninterfaces = \"eth0\"\n" + fittingFarm + "mac = %s\n",
	"name-of-a-backend":     "scheduler = \"round-robin\"\n" + fittingFarm + "[backends.%s]\naddress = \"10.0.0.12\"\n",
	"name-of-a-key":         fittingFarm + "%s = \"up\"\n",
	"name-of-a-table":       fittingFarm + "[%s]\nstate = \"up\"\n",
}

// addressRange is a value of some keys, and a name as well.
const addressRange = "192.0.2.10-192.0.2.20"

// takesRanges are the keys of ranges of addresses and of names.
var takesRanges = map[string]bool{"access.deny": true, "source-address": true, "backend-source": true,
	"persistence.group": true, "name-of-a-backend": true}

// harmlessKeys are the keys with strings that stay out of the script, and may be anything.
var harmlessKeys = map[string]bool{"description": true, "log.prefix": true}

// TestHostileStrings puts each hostile text where a string may stand: it is a fault, or leaves no trace in the script.
func TestHostileStrings(t *testing.T) {
	for key, form := range stringKeys {
		t.Run(key, func(t *testing.T) {
			for _, text := range hostile {
				if text == addressRange && takesRanges[key] {
					continue
				}
				script := harmless(t, fstest.MapFS{"web.toml": {Data: fmt.Appendf(nil, form, tomlString(text))}})
				if script == "" {
					continue
				}
				if !harmlessKeys[key] {
					t.Errorf("%q is no fault", text)
				}
				if len(text) > 1 && strings.Contains(script, text) {
					t.Errorf("%q is in the script", text)
				}
			}
		})
	}
}

func TestHostileNames(t *testing.T) {
	for _, name := range hostile {
		if !fs.ValidPath(name+".toml") || strings.Contains(name, "/") || name == addressRange {
			continue // no file can have it, or each farm
		}
		for ending, text := range map[string]string{".toml": fittingFarm, ".list": "192.0.2.1\n",
			".toml.d/x.toml": fittingFarm} {
			files := fstest.MapFS{"web.toml": {Data: []byte(fittingFarm)}, name + ending: {Data: []byte(text)}}
			files["web.toml"].Data = bytes.Replace(
				files["web.toml"].Data,
				[]byte("198.51.100.1"),
				[]byte("198.51.100.2"),
				1,
			)
			script := harmless(t, files)
			hidden := strings.HasPrefix(name, ".")
			if orphan := strings.Contains(ending, "/"); script != "" && !orphan && !hidden {
				t.Errorf("%q is no fault", name+ending)
			}
			if len(name) > 1 && strings.Contains(script, name) {
				t.Errorf("%q is in the script", name+ending)
			}
		}
	}
}

func TestHostileLists(t *testing.T) {
	for _, line := range hostile {
		for _, lenient := range []bool{false, true} {
			files := fstest.MapFS{
				"web.toml":    {Data: []byte("access.deny = \"@office\"\n" + fittingFarm)},
				"office.list": {Data: []byte("192.0.2.1\n" + line + "\n")},
			}
			harmless(t, files)
			script, told := compiler.Compile([]farm.Dir{{FS: files, Lenient: lenient}})
			if lenient && told.Faulty() {
				t.Errorf("%q is a fault: %s", line, compilertest.Printed(told))
			}
			if script == nil {
				continue
			}
			if _, err := compilertest.ReadScript(string(script.Text)); err != nil {
				t.Errorf("%v in the script of %q", err, line)
			}
		}
	}
}

// TestHostileDropIns: a drop-in is validated like a farm's file.
func TestHostileDropIns(t *testing.T) {
	for key, form := range stringKeys {
		for _, text := range hostile[:20] {
			script := harmless(t, fstest.MapFS{
				"web.toml": {
					Data: []byte("listen = \"192.0.2.10:80\"\n[backends.b1]\naddress = \"10.0.0.11\"\n"),
				},
				"web.toml.d/x.toml": {Data: fmt.Appendf(nil, form, tomlString(text))},
			})
			if script != "" && !harmlessKeys[key] {
				t.Errorf("%s: %q is no fault", key, text)
			}
		}
	}
}

// TestFarmsThatWouldTakeForever are small files that ask for much.
func TestFarmsThatWouldTakeForever(t *testing.T) {
	ports := make([]string, 0, 5000)
	for port := 1; port < 65535 && len(ports) < cap(ports); port += 13 {
		ports = append(ports, fmt.Sprint(port))
	}
	var many strings.Builder
	for i := range 300 {
		fmt.Fprintf(&many, "[backends.b%d]\naddress = \"10.0.%d.%d\"\nweight = %d\n", i, i/250, i%250+1, i%1000+1)
	}
	for name, text := range map[string]string{
		"ports": "listen = \"192.0.2.10:" + strings.Join(ports, ",") + "\"\n[backends.b1]\naddress = " +
			"\"10.0.0.11\"\n",
		"backends": "listen = \"192.0.2.10:80\"\n" + many.String(),
		"deep":     "a = " + strings.Repeat("[", 1<<20),
		"keys":     strings.Repeat("a.", 1<<20) + "b = 1",
		"line":     "description = \"" + strings.Repeat("é", 1<<20) + "\"\nlisten = 1\n",
		"quotes":   "listen = " + strings.Repeat(`"`, 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			harmless(t, fstest.MapFS{"web.toml": {Data: []byte(text)}})
		})
	}
}
