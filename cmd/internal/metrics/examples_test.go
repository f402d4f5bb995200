package metrics

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"farmc/cmd/internal/health"
	"farmc/cmd/internal/live"
)

const (
	alerts    = "../../../debian/examples/farmc-alerts.yml"
	dashboard = "../../../debian/examples/farmc-grafana.json"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	series = regexp.MustCompile(`farmc_[a-z_]+`)
	derive = regexp.MustCompile(`_(bucket|sum|count)$`)
	help   = regexp.MustCompile(`(?m)^# HELP (\S+)`)
)

// The alert rules and the dashboard ask for metrics that farmc has, and the dashboard for all of them.
func TestExamplesNameMetrics(t *testing.T) {
	m := metricsOf(site(), nil)
	m.Loaded(live.LoadReport{})
	m.HealthChecked("web", "b1", health.Word{})
	has := map[string]bool{}
	for _, at := range help.FindAllStringSubmatch(text(t, m), -1) {
		has[at[1]] = true
	}
	shown := map[string]bool{}
	for _, file := range []string{alerts, dashboard} {
		for _, name := range series.FindAllString(read(t, file), -1) {
			name = derive.ReplaceAllString(name, "")
			if shown[name] = true; !has[name] {
				t.Errorf("%s asks for %s", file, name)
			}
		}
	}
	for name := range has {
		if !shown[name] {
			t.Errorf("no example shows %s", name)
		}
	}
}

// Each panel of the dashboard has a place of its own and a question.
func TestDashboard(t *testing.T) {
	var d struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, dashboard)), &d); err != nil {
		t.Fatal(err)
	}
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range d.Panels {
		if len(p.Targets) == 0 || p.Title == "" || ids[p.ID] {
			t.Errorf("panel %d %s: %d questions", p.ID, p.Title, len(p.Targets))
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if taken[[2]int{x, y}] != "" || x >= 24 {
					t.Fatalf("panel %s covers %s at %d, %d", p.Title, taken[[2]int{x, y}], x, y)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// promtool of Prometheus accepts the questions of both files, and each alert is raised by its cause.
func TestAlerts(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: apt-get install prometheus")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"farmc-alerts.yml": read(t, alerts),
		"alerts.yml": read(t, "testdata/alerts.yml"), "dashboard.yml": dashboardRules(t)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"check", "rules", "farmc-alerts.yml", "dashboard.yml"},
		{"test", "rules", "alerts.yml"}} {
		c := exec.CommandContext(t.Context(), promtool, args...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// dashboardRules writes the questions of the dashboard as rules, in JSON, which is YAML.
func dashboardRules(t *testing.T) string {
	t.Helper()
	var rules []map[string]string
	for _, at := range regexp.MustCompile(`"expr": ("(?:[^"\\]|\\.)*")`).FindAllStringSubmatch(read(t, dashboard), -1) {
		var expr string
		if err := json.Unmarshal([]byte(at[1]), &expr); err != nil {
			t.Fatal(err)
		}
		expr = strings.ReplaceAll(expr, "$__rate_interval", "1m")
		rules = append(rules, map[string]string{"record": "r", "expr": expr})
	}
	if len(rules) < 10 {
		t.Fatalf("the dashboard has %d questions", len(rules))
	}
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
