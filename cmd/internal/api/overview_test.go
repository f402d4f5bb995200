package api

import (
	"fmt"
	"strings"
	"testing"
)

func TestOverview(t *testing.T) {
	files := map[string]string{"web.toml": "description = \"<b>shop</b>\"\n" + webFarm,
		"ftp.toml": "# of last year\nlisten = \"192.0.2.13:21\"\nweight = 3\nbackends.b1.address = \"10.0.0.14\"\n"}
	s := start(t, files)
	document, _ := s.get(t, "/v1/overview")
	var names []string
	for _, f := range document["farms"].([]any) {
		names = append(names, at(f, "name").(string)+" "+at(f, "group").(string))
	}
	if got := strings.Join(names, ", "); got != "ftp problem, web problem" {
		t.Errorf("the farms are %s", got)
	}
	fault := document["faults"].([]any)[0]
	if got := fmt.Sprint(at(fault, "line"), at(fault, "excerpt"), at(fault, "first")); !strings.HasPrefix(got,
		"3 [# of last year listen = \"192.0.2.13:21\" weight = 3") || !strings.HasSuffix(got, "] 1") {
		t.Errorf("the fault is %s", got)
	}
	document, _ = s.get(t, "/v1/overview?search=shop&show=problem&size=1")
	if at(document, "found") != 1.0 {
		t.Errorf("found %v", at(document, "found"))
	}
	document, _ = s.get(t, "/v1/overview/web")
	if at(document, "row", "description") != "<b>shop</b>" || at(document, "farm", "listen") != "192.0.2.10:80" {
		t.Errorf("the farm is %v", document)
	}
	if x := s.do(t, exchange{key: "reader", path: "/v1/overview/none"}); x.status != 404 {
		t.Errorf("a farm that does not exist: %d %s", x.status, x.answer)
	}
	document, _ = s.get(t, "/v1/changes?farm=web")
	if at(document, "since") == "" || len(document["changes"].([]any)) != 0 {
		t.Errorf("the changes are %v", document)
	}
}

func TestOverviewRefusesParameters(t *testing.T) {
	s := start(t, siteFiles)
	for _, query := range []string{"page=0", "page=x", "size=501", "size=0", "show=all", "search=%ff",
		"search=" + strings.Repeat("x", 201)} {
		if x := s.do(t, exchange{key: "reader", path: "/v1/overview?" + query}); x.status != 400 {
			t.Errorf("%s: %d %s", query, x.status, x.answer)
		}
	}
}

func TestExplainRefusesQuestions(t *testing.T) {
	s := start(t, siteFiles)
	for _, query := range []string{"", "?service=x", "?service=192.0.2.10:80&from=x", "?service=192.0.2.10:80&in=none0",
		"?service=192.0.2.10:80&from=2001:db8::1"} {
		if x := s.do(t, exchange{key: "reader", path: "/v1/explain" + query}); x.status != 400 {
			t.Errorf("%s: %d %s", query, x.status, x.answer)
		}
	}
	if x := s.do(t, exchange{key: "checker", path: "/v1/explain?service=192.0.2.10:80"}); x.status != 403 {
		t.Errorf("a key of the role health: %d", x.status)
	}
}

func TestScriptLines(t *testing.T) {
	s := start(t, siteFiles)
	document, _ := s.get(t, "/v1/script/lines?farm=mail&count=5")
	lines, ranges := document["lines"].([]any), document["farm"].([]any)
	if len(lines) != 5 || len(ranges) == 0 {
		t.Fatalf("%v", document)
	}
	from := at(ranges[0], "from").(float64)
	document, _ = s.get(t, fmt.Sprintf("/v1/script/lines?from=%.0f&count=1", from))
	line := document["lines"].([]any)[0]
	file, _ := at(line, "file").(string)
	if at(line, "number") != from || at(line, "farm") != "mail" || !strings.HasSuffix(file, "mail.toml") {
		t.Errorf("line %v is %v", from, line)
	}
	script := s.do(t, exchange{key: "reader", path: "/v1/script"}).answer
	if text := strings.Split(script, "\n")[int(from)-1]; at(line, "text") != text {
		t.Errorf("line %v is %q, want %q", from, at(line, "text"), text)
	}
	document, _ = s.get(t, "/v1/script/lines?farm=none&from=1000000")
	if len(document["farm"].([]any)) != 0 || len(document["lines"].([]any)) != 1 {
		t.Errorf("behind the last line: %v", document)
	}
}
