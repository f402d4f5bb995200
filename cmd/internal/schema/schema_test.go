package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"farmc/cmd/internal/edit"
	"farmc/compiler/farm"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSON()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("farm.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("farm.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate holds the TOML text of a farm against the schema.
func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	document, faults := edit.Read([]byte(text))
	if len(faults) > 0 {
		t.Fatalf("%v\n%s", faults, text)
	}
	asJSON, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(value)
}

// TestAcceptedFarms: all farms and drop-ins of goldens that the compiler takes without a word are valid.
func TestAcceptedFarms(t *testing.T) {
	s := compiled(t)
	scripts, err := filepath.Glob("../../../golden/*/*/script.nft")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, script := range scripts {
		if _, err := os.Stat(filepath.Join(filepath.Dir(script), "diagnostics.txt")); err == nil {
			continue
		}
		for _, below := range []string{"*.toml", "*/*.toml", "*/*/*.toml"} {
			farms, _ := filepath.Glob(filepath.Join(filepath.Dir(script), below))
			for _, path := range farms {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if _, faults := edit.Read(text); len(faults) > 0 {
					continue // a later directory has a file of the same name
				}
				if err := validate(t, s, string(text)); err != nil {
					t.Errorf("%s: %v", path, err)
				}
				seen++
			}
		}
	}
	if seen < 200 {
		t.Errorf("only %d farms", seen)
	}
}

// line writes one key into its table.
func line(k *farm.Key, value string) string {
	switch k.Table {
	case "":
		return k.Name + " = " + value + "\n"
	case "backends":
		return fmt.Sprintf("[backends.b1]\n%s = %s\n", k.Name, value)
	}
	return fmt.Sprintf("[%s]\n%s = %s\n", k.Table, k.Name, value)
}

// TestEachKey: the example of each key is valid, a value of another type and one out of its bounds are not, and each
// key has its meaning.
func TestEachKey(t *testing.T) {
	s := compiled(t)
	for _, k := range farm.Keys() {
		if k.Example != "" {
			if err := validate(t, s, line(&k, k.Example)); err != nil {
				t.Errorf("%s.%s = %s: %v", k.Table, k.Name, k.Example, err)
			}
		}
		wrong := []string{"1.5"}
		switch k.Type {
		case farm.NumberType, farm.NumbersType:
			wrong = append(wrong, fmt.Sprint(k.Least-1), fmt.Sprint(k.Most+1), `"1"`)
		case farm.ChoiceType:
			wrong = append(wrong, `"nonsense"`, "1")
		case farm.DurationType, farm.RateType, farm.LimitType, farm.PercentType:
			wrong = append(wrong, `"nonsense"`, "1")
		}
		for _, value := range wrong {
			if validate(t, s, line(&k, value)) == nil {
				t.Errorf("%s.%s = %s is valid", k.Table, k.Name, value)
			}
		}
		if About(k.Table, k.Name) == "" {
			t.Errorf("%s.%s has no meaning", k.Table, k.Name)
		}
	}
}

// TestUnknownKeys: a key that no table has is marked.
func TestUnknownKeys(t *testing.T) {
	s := compiled(t)
	for _, text := range []string{"lisen = \"192.0.2.1:80\"\n", "[limit]\n", "[backends.b1]\nadress = \"10.0.0.1\"\n",
		"[backends.b1.health]\npanic = \"30%\"\n", "[limits]\nnew = { rat = \"1/s\" }\n"} {
		if validate(t, s, text) == nil {
			t.Errorf("valid: %s", text)
		}
	}
}
