package source

import "testing"

// The changes of two writes to a file are one change, and none if the second one undoes the first.
func TestJoinedChanges(t *testing.T) {
	got := Joined([]Change{{Path: "a", Text: []byte("1")}, {Path: "b", Before: []byte("x")},
		{Path: "a", Text: []byte("2"), Before: []byte("1")}, {Path: "b", Text: []byte("x")},
		{Path: "c", Text: []byte{}}})
	if len(got) != 2 || got[0].Path != "a" || string(got[0].Text) != "2" || got[0].Before != nil || got[1].Path != "c" {
		t.Errorf("%+v", got)
	}
}
