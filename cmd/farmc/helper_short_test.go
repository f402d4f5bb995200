package main

import "testing"

// skipShort skips a test that takes seconds with -short. make quick uses -short; make test and CI do not.
func skipShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds; make test runs it")
	}
}
