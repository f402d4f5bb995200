package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"farmc/cmd/internal/reference"
	"farmc/compiler/farm"
)

// referenceKeys gives the keys of the reference by "table.key". About has the comments of the key and of its table.
func referenceKeys() map[string]reference.Key {
	out := map[string]reference.Key{}
	for _, table := range reference.Tables() {
		name, below, _ := strings.Cut(table.Name, ".")
		if _, below, nested := strings.Cut(below, "."); nested { // of a backend: its keys are those of the farm's table
			out[name+"."+below] = reference.Key{Name: below, Value: "{}"}
			continue
		}
		for _, k := range table.Keys {
			k.About += "\n" + k.Short + "\n" + table.About
			out[name+"."+k.Name] = k
		}
		if name != "" {
			out["."+name] = reference.Key{Name: name, Value: "{}"}
		}
	}
	return out
}

// The reference has every key of the compiler, and no other.
func TestReferenceHasEveryKey(t *testing.T) {
	shown := referenceKeys()
	for _, k := range farm.Keys() {
		if _, ok := shown[k.Table+"."+k.Name]; !ok {
			t.Errorf("the reference lacks the key %s.%s", k.Table, k.Name)
		}
		delete(shown, k.Table+"."+k.Name)
	}
	for name := range shown {
		t.Errorf("the reference has the key %s, and farmc has not", name)
	}
}

// The value of each key in the reference has the type of the key, within its bounds.
func TestReferenceTypes(t *testing.T) {
	shown := referenceKeys()
	for _, k := range farm.Keys() {
		value := shown[k.Table+"."+k.Name].Value
		for _, text := range []string{value, k.Example} {
			if text != "" && !fits(k, decoded(t, text)) {
				t.Errorf("%s.%s = %s is not of the type %s", k.Table, k.Name, text, k.Type)
			}
		}
		if k.Example == "" && k.Type != farm.TableType && k.Type != farm.TablesType {
			t.Errorf("%s.%s has no example", k.Table, k.Name)
		}
	}
}

func decoded(t *testing.T, value string) any {
	t.Helper()
	var file struct{ V any }
	if _, err := toml.Decode("V = "+value, &file); err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	return file.V
}

var (
	durationForm = regexp.MustCompile(`^([0-9]+(ms|[dhms]))+$`)
	percentForm  = regexp.MustCompile(`^[0-9]+%$`)
	rateForm     = regexp.MustCompile(`^[0-9]+/(second|minute|hour|day)$`)
)

// fits reports whether a value has the type of the key.
func fits(k farm.Key, value any) bool {
	word, isText := value.(string)
	number, isNumber := value.(int64)
	table, isTable := value.(map[string]any)
	switch k.Type {
	case farm.TextType:
		return isText
	case farm.ChoiceType:
		return slices.Contains(k.Options, word)
	case farm.ListType:
		return isText || isList(value, func(v any) bool { _, ok := v.(string); return ok })
	case farm.AnnounceType:
		return value == true || value == false || slices.Contains(k.Options, word)
	case farm.GatewayType:
		return isText || isTable || isList(value, func(v any) bool { _, ok := v.(string); return ok })
	case farm.FlagType:
		return value == true || value == false
	case farm.NumberType:
		return isNumber && int64(k.Least) <= number && number <= int64(k.Most)
	case farm.NumbersType:
		return isList(value, func(v any) bool {
			n, ok := v.(int64)
			return ok && int64(k.Least) <= n && n <= int64(k.Most)
		})
	case farm.DurationType:
		return durationForm.MatchString(word)
	case farm.PercentType:
		return percentForm.MatchString(word)
	case farm.StatusType:
		return isText || isNumber || isList(value, func(any) bool { return true })
	case farm.RateType:
		return rateForm.MatchString(word)
	case farm.MarkType, farm.QueueType:
		return isText || isNumber
	case farm.LimitType:
		rate, ok := table["rate"].(string)
		return ok && rateForm.MatchString(rate) || rateForm.MatchString(word)
	}
	return isTable
}

func isList(value any, item func(any) bool) bool {
	items, ok := value.([]any)
	return ok && !slices.ContainsFunc(items, func(v any) bool { return !item(v) })
}

// The reference names the default of each key, as its value or in its comment, and each value of a choice.
func TestReferenceDefaults(t *testing.T) {
	shown := referenceKeys()
	tried := 0
	for _, k := range farm.Keys() {
		at := shown[k.Table+"."+k.Name]
		if k.Default != "" {
			tried++
			if !namesDefault(at, k) {
				t.Errorf("%s.%s: the reference does not name the default %s", k.Table, k.Name, k.Default)
			}
		}
		for _, option := range k.Options {
			if !regexp.MustCompile(`\b` + regexp.QuoteMeta(option) + `\b`).MatchString(at.About) {
				t.Errorf("%s.%s: the reference does not name the value %s", k.Table, k.Name, option)
			}
		}
	}
	if tried < 15 {
		t.Errorf("only %d keys have a default", tried)
	}
}

// namesDefault looks for the default as the value of the key, or for "the default" behind it in the comment.
func namesDefault(at reference.Key, k farm.Key) bool {
	return strings.Trim(at.Value, `["]`) == k.Default ||
		regexp.MustCompile(`\b`+regexp.QuoteMeta(k.Default)+` \(the default\)`).MatchString(at.About)
}
