package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// jumping is time.Now of a machine whose time of day jumps three days ahead and three back every fifth of a second, in
// place of Go's own. What has passed since another moment stays right, as it is by another clock.
const jumping = `func Now() Time {
	t := steady()
	t.addSec([]int64{0, 3, -3}[runtimeNano()/2e8%3] * 86400)
	return t
}

func steady() Time {
`

// inTime are the scenarios in which something waits for its time, or tells it.
const inTime = "^TestScript$/^(apply-(confirmed|unconfirmed|first|isolated|two-at-once)|rollback|ban|status|clock-jumps|" +
	"watch-(applies-at-every-change|during-trial|backoff|errors|leaves-bans|restores-rules|change-during-load|" +
	"starts-with-a-fault|tells-systemd|waits-for-writers))$"

// Whatever the time of day does: what waits to be confirmed has its time, files are waited for until they are quiet,
// pauses and tries again, the watchdog and bans go on as ever. No program but farmc and these tests lives in that time.
func TestTimeOfDayJumps(t *testing.T) {
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
		t.Fatalf("time.Now in %s is not what it was", own)
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
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-overlay", overlay, "-run", "^TestInThatTime$|"+inTime, ".")
	cmd.Env = append(os.Environ(), inThatTime+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestInThatTime") || strings.Count(string(out), "--- PASS: TestScript/") < 15 {
		t.Errorf("%v\n%s", err, out)
	}
}

const inThatTime = "FARMC_TIME_JUMPS"

// The time of day does jump there.
func TestInThatTime(t *testing.T) {
	if os.Getenv(inThatTime) == "" {
		t.Skip("TestTimeOfDayJumps runs this")
	}
	began := time.Now()
	for passed := time.Duration(0); passed.Abs() < 24*time.Hour; passed = time.Now().Round(0).Sub(began.Round(0)) {
		if time.Since(began) > time.Minute {
			t.Fatal("the time of day goes on as ever")
		}
	}
}
