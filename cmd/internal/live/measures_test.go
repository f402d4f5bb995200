package live

import (
	"errors"
	"testing"
	"time"

	"farmc/cmd/internal/statedir"
)

// Measures are read anew after a rest that grows with the time of a reading.
func TestMeasuresRest(t *testing.T) {
	r := NewReader(&Engine{Store: statedir.NewStore(t.TempDir())})
	r.now.Store(&Snapshot{files: &compilation{}})
	if _, err := r.Measures(t.Context()); !errors.Is(err, ErrNothingLoaded) {
		t.Fatalf("without a load: %v", err)
	}
	for _, tt := range []struct {
		took, age time.Duration
		kept      bool
	}{
		{time.Millisecond, time.Second, false},
		{time.Second, time.Second, true},
		{time.Second, 3900 * time.Millisecond, true},
		{time.Second, 4 * time.Second, false},
	} {
		r.last.measures.FindingsOn, r.last.took, r.last.read = 7, tt.took, time.Now().Add(-tt.age)
		m, err := r.Measures(t.Context())
		if kept := err == nil && m.FindingsOn == 7; kept != tt.kept {
			t.Errorf("%s after a reading of %s: %v, %v", tt.age, tt.took, m.FindingsOn, err)
		}
	}
}
