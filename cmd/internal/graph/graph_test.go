package graph

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

var update = flag.Bool("update", false, "write the expected pictures anew")

// TestGolden compares the pictures of the farms in testdata. Look at a changed picture in a browser.
func TestGolden(t *testing.T) {
	farms, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(farms) < 7 {
		t.Fatalf("%d farms, %v", len(farms), err)
	}
	for _, path := range farms {
		name := strings.TrimSuffix(filepath.Base(path), ".toml")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, golden := drawn(t, Of(read(t, name, string(text))), Options{Document: true}), "testdata/"+name+".svg"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s differs: %v; go test -update writes it", golden, err)
			}
			wellFormed(t, got)
		})
	}
}

func read(t *testing.T, name, text string) *farm.Reading {
	t.Helper()
	r := farm.ReadText(name, []byte(text), nil)
	for _, d := range r.Faults() {
		if d.Severity == diag.Fault {
			t.Errorf("%s: %s", d.Place, d.Message)
		}
	}
	return r
}

func drawn(t *testing.T, p Picture, o Options) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := SVG(&out, p, o); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// elements are the elements of a picture, with their attributes.
var elements = map[string]string{
	"svg":   "xmlns class role aria-labelledby aria-describedby viewBox width height font-family",
	"title": "id", "desc": "id", "g": "", "style": "",
	"rect": "class fill stroke x y width height rx stroke-dasharray fill-opacity",
	"path": "class fill stroke d stroke-width stroke-opacity stroke-dasharray",
	"text": "class fill x y font-size font-weight font-family text-anchor",
}

// wellFormed checks that a picture is XML of the elements above alone: no script, no link, no attribute style. It gives
// the texts of the picture.
func wellFormed(t *testing.T, svg []byte) (texts []string) {
	t.Helper()
	var open []string
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, svg)
		}
		switch e := token.(type) {
		case xml.StartElement:
			open = append(open, e.Name.Local)
			allowed, known := elements[e.Name.Local]
			for _, a := range e.Attr {
				if !slices.Contains(strings.Fields(allowed), a.Name.Local) {
					t.Errorf("<%s> has %s=%q", e.Name.Local, a.Name.Local, a.Value)
				}
			}
			if !known {
				t.Errorf("an element <%s>", e.Name.Local)
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if text := strings.TrimSpace(string(e)); text != "" {
				texts = append(texts, open[len(open)-1]+" "+text)
			}
		case xml.Comment, xml.Directive:
			t.Errorf("%T in the picture", e)
		}
	}
}

// hostile are texts that would end an element or an attribute, or control a terminal or the direction of a text.
var hostile = []string{
	`</text></svg><script>alert(1)</script>`, `" onload="alert(1)`, `' style='x`, `]]>`, `<!--`, `&amp;&lt;&#0;`,
	"\x00\x1b[2J\u202e\u2066\u200b\ufffe", "\xff\xc0\xaf", strings.Repeat("名前", 400), strings.Repeat("<", 5000),
	"a\nb\tc\r", "</style>{}", "javascript:alert(1)",
}

// TestHostileTexts: any text in any place of a picture stays a text.
func TestHostileTexts(t *testing.T) {
	for i, text := range hostile {
		for _, o := range []Options{{}, {Document: true}} {
			items := []Item{{Label: text, Details: []string{text, text}}}
			p := Picture{Name: text, Mode: "snat", Description: text, Clients: items, Frontends: items,
				Filters: items, Choice: items, Delivery: items, Reply: text,
				Backends: []Backend{{Name: text, Address: text, Shares: [2]float64{0.5, 0.25}},
					{Name: text, Address: text, State: text, Tone: Stop}}}
			texts := wellFormed(t, drawn(t, p, o))
			if !slices.Contains(texts, "title "+strings.TrimSpace(diag.Printable(text))) {
				t.Errorf("text %d is not in the picture in full", i)
			}
		}
	}
}

// TestHostileFarm: a description in a file gets into the picture as a text, too.
func TestHostileFarm(t *testing.T) {
	text := "description = \"</title><script src='//x'/>\"\n" + farmOf(1)
	svg := drawn(t, Of(read(t, "web", text)), Options{})
	wellFormed(t, svg)
	if !strings.Contains(string(svg), "&lt;/title&gt;&lt;script src=&#39;//x&#39;/&gt;") {
		t.Errorf("the description is not in\n%s", svg)
	}
}

// TestAmongHTML: the picture for a page has no style element and no declaration, and the same colours as attributes.
func TestAmongHTML(t *testing.T) {
	p := Of(read(t, "web", farmOf(3)))
	for _, document := range []bool{false, true} {
		svg := string(drawn(t, p, Options{Document: document}))
		if strings.HasPrefix(svg, "<?xml") != document || strings.Contains(svg, "<style>") != document {
			t.Errorf("Document %t:\n%s", document, svg[:200])
		}
		if !strings.Contains(svg, `class="fg-card" fill="#f6f8fa" stroke="#d0d7de"`) {
			t.Error("cards have no colour without a style sheet")
		}
	}
}

// farmOf gives a farm with a number of backends; every hundredth one drains.
func farmOf(n int) string {
	out := "mode = \"dnat\"\nlisten = \"192.0.2.1:80\"\n"
	for i := range n {
		out += fmt.Sprintf("[backends.b%04d]\naddress = \"10.1.%d.%d\"\n", i, i/250, i%250+1)
		if i%100 == 99 {
			out += "state = \"drain\"\n"
		}
	}
	return out
}

// TestRows: up to 21 backends have a row each, of more 20. The last row has the number, the share and the states of the
// others. The size of the picture does not grow with them.
func TestRows(t *testing.T) {
	for _, test := range []struct {
		backends, rows int
		last           []string
	}{
		{1, 1, nil}, {3, 3, nil}, {20, 20, nil}, {21, 21, nil},
		{22, 20, []string{"and 2 more", "9.09 %", "2 serving"}},
		{4096, 20, []string{"and 4,076 more", "99.5 %", "4,036 serving, 40 drain"}},
	} {
		svg := drawn(t, Of(read(t, "web", farmOf(test.backends))), Options{})
		texts, rows := wellFormed(t, svg), 0
		for _, text := range texts {
			if strings.HasPrefix(text, "text b0") {
				rows++
			}
		}
		if rows != test.rows || len(svg) > 40_000 {
			t.Errorf("%d backends: %d rows, %d bytes", test.backends, rows, len(svg))
		}
		for _, want := range test.last {
			if !slices.Contains(texts, "text "+want) {
				t.Errorf("%d backends: no text %q", test.backends, want)
			}
		}
	}
}

// TestShares: shares follow weights and states, in each family by itself, and sum up to 1.
func TestShares(t *testing.T) {
	p := Of(read(t, "web", `listen = ["192.0.2.1:80", "[2001:db8::1]:80"]
[backends.a]
address = ["10.0.0.1", "fd00::1"]
weight = 3
[backends.b]
address = "10.0.0.2"
[backends.c]
address = "10.0.0.3"
state = "down"
[backends.d]
address = "10.0.0.4"
priority = 4
[backends.e]
address = "10.0.0.5"
state = "up"
weight-percent = 0
[backends.f]
address = "10.0.0.6"
priority = 2
state = "drain"
`))
	// c and e let the priorities 2 and 4 serve.
	want := []string{"a IPv4 60 %, IPv6 100 %", "b 20 %", "c down", "e weight 0", "f drain", "d 20 %"}
	var got []string
	sums := [len(addr.Families)]float64{}
	for _, b := range p.Backends {
		got = append(got, b.Name+" "+b.words())
		for f := range sums {
			sums[f] += b.Shares[f]
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for f, sum := range sums {
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("the shares of family %d sum up to %f", f, sum)
		}
	}
}

// TestWaits: a backend of a worse priority waits while all better ones serve.
func TestWaits(t *testing.T) {
	p := Of(read(t, "web", farmOf(2)+"[backends.spare]\naddress = \"10.9.0.1\"\npriority = 2\n"))
	if got := p.Backends[2].words(); got != "priority 2, waits" {
		t.Errorf("the spare backend: %s", got)
	}
}

// TestFit: a text takes no more room than it has, and the end of a name stays.
func TestFit(t *testing.T) {
	f := font{12, "", true}
	for _, text := range append(hostile, "b1", "a-backend-with-a-name-that-is-long-1", "[2001:db8::1]:80,443/tcp,udp") {
		for width := 140.0; width < 300; width += 17 {
			if got := f.fitName(text, width); f.width(got) > width {
				t.Errorf("%q has the width %.0f, not %.0f", got, f.width(got), width)
			}
			for _, line := range f.wrap(text, width) {
				if f.width(line) > width {
					t.Errorf("%q has the width %.0f, not %.0f", line, f.width(line), width)
				}
			}
		}
	}
	if got := f.fitName("a-backend-with-a-name-that-is-long-17", 180); got != "a-backend-with-…-long-17" {
		t.Errorf("got %s", got)
	}
}

// TestNotTOML: a reading without a farm has a picture.
func TestNotTOML(t *testing.T) {
	wellFormed(t, drawn(t, Of(farm.ReadText("web", []byte("=\n"), nil)), Options{Document: true}))
}
