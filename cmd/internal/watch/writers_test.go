package watch

import (
	"os"
	"testing"
)

// A file is unfinished as long as somebody has it open for writing, whoever that is.
func TestUnfinished(t *testing.T) {
	sc := watched(t, "farms.d/", "elsewhere/")
	if sc.sentry.written.any() {
		t.Error("unfinished though nothing was written")
	}
	f, err := os.Create(sc.at("farms.d/web.toml"))
	sc.must(err)
	_, err = f.WriteString("listen = ")
	sc.must(err)
	sc.seen("a write")
	for range 2 {
		if !sc.sentry.written.any() {
			t.Error("finished though it is open")
		}
	}
	sc.must(f.Close())
	if sc.sentry.written.any() || len(sc.sentry.written.files) > 0 {
		t.Error("unfinished though it is closed")
	}
	sc.make("new")
	sc.rename("new", "farms.d/web.toml")
	sc.seen("a rename")
	sc.remove("farms.d/web.toml")
	sc.seen("a removal")
	if sc.sentry.written.any() {
		t.Error("unfinished though it is gone")
	}
}
