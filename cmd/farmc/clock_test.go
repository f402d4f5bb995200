package main

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// jumping replaces time.Now of the standard library: the wall clock jumps three days forward and three back every fifth
// of a second. Differences of two times stay right, because they come from the monotonic clock.
const jumping = `func Now() Time {
	t := steady()
	t.addSec([]int64{0, 3, -3}[runtimeNano()/2e8%3] * 86400)
	return t
}

func steady() Time {
`

// inTime matches the scenarios that wait for a time or print one.
const inTime = "^TestScript$/^(health|health-in-watch|health-rules|api-health|" +
	"apply-(confirmed|unconfirmed|first|isolated|two-at-once)|rollback|ban|status|clock-jumps|" +
	"watch-(applies-at-every-change|during-trial|backoff|errors|leaves-bans|restores-rules|change-during-load|" +
	"starts-with-a-fault|tells-systemd|waits-for-writers))$"

// Jumps of the wall clock do not change the time to confirm, the wait for quiet files, pauses, retries, the watchdog
// and bans. Only farmc and these tests see the jumps.
func TestTimeOfDayJumps(t *testing.T) {
	if os.Getenv("TIME_JUMPS") == "" {
		t.Skip("builds farmc and the standard library anew; make test-slow runs it")
	}
	needMachine(t)
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	own := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	var text []byte
	if err == nil {
		text, err = os.ReadFile(own)
	}
	if err != nil {
		t.Fatal(err)
	}
	const head = "func Now() Time {\n"
	if strings.Count(string(text), head) != 1 {
		t.Fatalf("time.Now in %s has changed", own)
	}
	dir := t.TempDir()
	other, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json")
	places, err := json.Marshal(map[string]map[string]string{"Replace": {own: other}})
	if err == nil {
		err = os.WriteFile(other, []byte(strings.Replace(string(text), head, jumping, 1)), 0o600)
	}
	if err == nil {
		err = os.WriteFile(overlay, places, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	parallel := flag.Lookup("test.parallel").Value.String()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-parallel", parallel, "-overlay", overlay,
		"-run", "^TestInThatTime$|"+inTime, ".")
	cmd.Env = append(os.Environ(), inThatTime+"=1")
	out, err := cmd.CombinedOutput()
	jumped := strings.Contains(string(out), "--- PASS: TestInThatTime")
	if err != nil || !jumped || strings.Count(string(out), "--- PASS: TestScript/") < 15 {
		t.Errorf("%v\n%s", err, out)
	}
}

const inThatTime = "FARMC_TIME_JUMPS"

// The wall clock jumps if the overlay of TestTimeOfDayJumps is in use.
func TestInThatTime(t *testing.T) {
	if os.Getenv(inThatTime) == "" {
		t.Skip("TestTimeOfDayJumps runs this")
	}
	began := time.Now()
	for passed := time.Duration(0); passed.Abs() < 24*time.Hour; passed = time.Now().Round(0).Sub(began.Round(0)) {
		if time.Since(began) > time.Minute {
			t.Fatal("the wall clock does not jump")
		}
	}
}
