package nftlb

import (
	"reflect"
	"testing"

	"farmc/cmd/internal/convert"
)

// A list of a person loses and gains the entries that its elements ask for, and no others.
func TestEdits(t *testing.T) {
	const text = "# mine\n10.5.0.0/25 # office\n10.5.0.128/25\n2001:db8::1\n"
	for _, test := range []struct {
		name                 string
		elements, lose, gain []string
	}{
		{"as it is", []string{"10.5.0.0/24", "2001:db8::1"}, nil, nil},
		{"one more", []string{"10.5.0.0/24", "10.9.0.9", "2001:db8::1"}, nil, []string{"10.9.0.9"}},
		{"a wider one", []string{"10.4.0.0/15", "2001:db8::1"}, nil, []string{"10.4.0.0/15"}},
		{"a part of one", []string{"10.5.0.0/26", "2001:db8::1"}, []string{"10.5.0.0/25", "10.5.0.128/25"},
			[]string{"10.5.0.0/26"}},
		{"none", nil, []string{"10.5.0.0/25", "10.5.0.128/25", "2001:db8::1"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			lose, gain := Edits([]byte(text), test.elements)
			if !reflect.DeepEqual(lose, test.lose) || !reflect.DeepEqual(gain, test.gain) {
				t.Errorf("lose %v, gain %v", lose, gain)
			}
		})
	}
}

// An element that is no network is an error, a note for lenient clients, and a loss of an import.
func TestElementsThatAreNoNetworks(t *testing.T) {
	const body = `{"policies": [{"name": "p", "elements": [{"data": "10.0.0.1"}, {"data": "foo"},
{"data": "10.0.0.1/33"}]}]}`
	const note = ". Parsing unknown value 'foo' in 'data'. Parsing unknown value '10.0.0.1/33' in 'data'"
	r := posted(body)
	if a := (&State{}).Do(r); a.Status != 400 || a.Text != "error parsing buffer"+note {
		t.Errorf("%d %s", a.Status, a.Text)
	}
	r.Lenient = true
	if a := (&State{}).Do(r); a.Text != "success"+note ||
		!reflect.DeepEqual(a.State.Policies[0].Elements, []string{"10.0.0.1"}) {
		t.Errorf("%s %v", a.Text, a.State.Policies[0].Elements)
	}
	in := Import(convert.Input{Name: "nftlb.json", Text: []byte(body)})
	if len(in.Losses) != 2 || !in.Losses[1].Matters || in.Losses[1].Line != 2 {
		t.Errorf("%v", in.Losses)
	}
}
