package edit

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestDecode(t *testing.T) {
	got := decoded(t, " {\"a\": [1, -0, 5.0, 5e2, 0.5, true, null, {}, []], "+
		"\"b\": \"\\ud83d\\ude00\\u00e9\ufffd\\ufffd\\\\ud800\"}\r\n")
	want := Document{"a": []any{int64(1), int64(0), int64(5), int64(500), 0.5, true, nil, map[string]any{}, []any{}},
		"b": "\U0001f600é\ufffd\ufffd\\ud800"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %#v\nwant %#v", got, want)
	}
}

func TestDecodeFaults(t *testing.T) {
	for _, test := range []struct{ rule, text, want string }{
		{"empty", "", "1:1: the document ends too early"},
		{"blank", " \n ", "2:2: the document ends too early"},
		{"cut-off", `{"backends": {"b1": {"weight":`, "1:31: backends.b1.weight: the document ends too early"},
		{"list", `[1]`, `1:1: a list is no farm (an object, as in {"listen": "192.0.2.10:80"})`},
		{"null", ` null`, `1:2: null is no farm (an object, as in {"listen": "192.0.2.10:80"})`},
		{"text-behind", "{}\n x", "2:2: text after the end of the document"},
		{"object-behind", "{}{}", "1:3: text after the end of the document"},
		{"comma-behind", "{},", "1:3: text after the end of the document"},
		{"names-twice", `{"a": 1, "b": {"c": 1, "\u0063": 2}, "a": {"d": 1}}`,
			"1:24: b.c: the name stands here twice\n1:38: a: the name stands here twice"},
		{"numbers", "{\"a\": 9223372036854775808,\n \"b\": [-9223372036854775809, 1e999, 12]}",
			"1:7: a: the number 9223372036854775808 does not fit 64 bits\n" +
				"2:8: b[0]: the number -9223372036854775809 does not fit 64 bits\n" +
				"2:30: b[1]: the number 1e999 is too large"},
		{"not-utf-8", "{\"é\": \"a\xffb\", \"c\xff\": 1}",
			"1:7: \"é\": the string is not UTF-8\n1:14: \"c\ufffd\": the string is not UTF-8"},
		{"half-pairs", `{"a": "\ud83d", "b": "\ude00\ud83d", "c": "\ud83d\u0041", "d": "\\ud83d"}`,
			"1:7: a: \\ud83d is half of a character; one beyond \\uffff is a pair, as in \"\\ud83d\\ude00\"\n" +
				"1:22: b: \\ude00 is half of a character; one beyond \\uffff is a pair, as in \"\\ud83d\\ude00\"\n" +
				"1:43: c: \\ud83d is half of a character; one beyond \\uffff is a pair, as in \"\\ud83d\\ude00\""},
		{"deep", `{"a": ` + strings.Repeat("[", maxDepth), "1:22: a" + strings.Repeat("[0]", maxDepth-1) +
			": more than 16 levels deep"},
		{"trailing-comma", `{"a": [1,]}`, "1:10: a[1]: invalid character ']' looking for beginning of value"},
		{"missing-comma", `{"a": 1 "b": 2}`, "1:9: invalid character '\"' after object key:value pair"},
		{"wrong-bracket", `{"a": [1}`, "1:9: a: invalid character '}' after array element"},
		{"single-quotes", `{'a': 1}`, "1:2: invalid character '\\'' looking for beginning of object key string"},
		{"byte-order-mark", "\ufeff{}", "1:1: invalid character 'ï' looking for beginning of value"},
		{"line-in-a-string", "{\"a\": \"b\nc\"}", "1:9: a: invalid character '\\n' in string literal"},
		{"leading-zero", `{"a": 01}`, "1:8: invalid character '1' after object key:value pair"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			got, faults := Decode(strings.NewReader(test.text))
			if told := list(faults); got != nil || told != test.want {
				t.Errorf("got  %s\nwant %s", told, test.want)
			}
		})
	}
}

func TestDecodeOfAReaderThatFails(t *testing.T) {
	_, faults := Decode(iotest.ErrReader(errors.New("too \x1b large")))
	if got := list(faults); got != "the document cannot be read: too \ufffd large" {
		t.Error(got)
	}
}

// endless gives a byte without end, and counts.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += len(p)
	return len(p), nil
}

func TestDecodeReadsNoMoreThanItsBound(t *testing.T) {
	var body endless
	_, faults := Decode(&body)
	if got := list(faults); got != "the document has more than 16777216 bytes" || body.read > 2*MaxSize {
		t.Errorf("%s after %d bytes", got, body.read)
	}
}

// TestDecodeIsQuick: documents of full size, made to cost much, take seconds at most, and have a bounded number of
// faults.
func TestDecodeIsQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("16 MB each")
	}
	full := func(beginning, part string) io.Reader {
		return strings.NewReader(beginning + strings.Repeat(part, (MaxSize-len(beginning))/len(part)))
	}
	for rule, body := range map[string]io.Reader{
		"brackets": full("", "["), "objects": full("", `{"a":`), "twice": full("{", `"a":1,`),
		"numbers": full(`{"a":[`, "1e999,"), "digits": full(`{"a":`, "1"), "halves": full(`{"a":"`, `\ud800`),
		"escapes": full(`{"a":["`, `\\`), "bytes": full(`{"a":["`, "\xff\",\""),
	} {
		begin := time.Now()
		_, faults := Decode(body)
		if took := time.Since(begin); took > 20*time.Second || len(faults) == 0 || len(faults) > maxFaults {
			t.Errorf("%s: %d faults after %s", rule, len(faults), took)
		} else {
			t.Logf("%s: %s, %d faults, first %s", rule, took, len(faults), faults[0])
		}
	}
}
