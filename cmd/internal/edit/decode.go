package edit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"farmc/compiler/diag"
)

// Decode reads a document, or a merge patch, from JSON (RFC 8259), strictly: the text is one object of at most MaxSize
// bytes. Faults are names that stand twice in an object, bytes that are not UTF-8, halves of surrogate pairs, whole
// numbers beyond 64 bits, decimal numbers beyond float64, more than 16 levels, and text after the object. All of them
// are found in one run, up to the first that breaks the syntax or the bound of levels, and 200 at most.
//
// A number without a fraction, as in 5.0 or 5e0, is the int64 5. null is kept as nil: Patch removes the key, Write
// refuses it.
func Decode(r io.Reader) (Document, []Fault) {
	text, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	switch {
	case err != nil:
		return nil, []Fault{{Message: diag.Printable(fmt.Sprintf("the document cannot be read: %v", err))}}
	case len(text) > MaxSize:
		return nil, []Fault{{Message: fmt.Sprintf("the document has more than %d bytes", MaxSize)}}
	}
	d := decoder{text: text, tokens: json.NewDecoder(bytes.NewReader(text))}
	d.tokens.UseNumber()
	document := d.document()
	if len(d.faults) > 0 {
		return nil, d.faults
	}
	return document, nil
}

// A decoder reads the tokens of a text. It goes on after faults, and stops where the syntax is broken.
type decoder struct {
	text    []byte
	tokens  *json.Decoder
	start   int      // the offset of the last token
	place   position // of the last fault
	at      path
	faults  []Fault
	stopped bool
}

func (d *decoder) document() Document {
	first := d.token()
	if first != json.Delim('{') {
		if !d.stopped {
			d.fault("%s is no farm", describe(first))
			d.faults[0].Hint = `an object, as in {"listen": "192.0.2.10:80"}`
		}
		return nil
	}
	document := d.object()
	if rest := bytes.TrimLeft(d.text[d.tokens.InputOffset():], " \t\r\n"); !d.stopped && len(rest) > 0 {
		d.start = len(d.text) - len(rest)
		d.fault("text after the end of the document")
	}
	return document
}

// describe names a JSON value that is no object.
func describe(token json.Token) string {
	switch token.(type) {
	case json.Delim:
		return "a list"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return "a boolean"
	}
	return "null"
}

// token gives the next token; nil, too, once the decoder has stopped.
func (d *decoder) token() json.Token {
	if d.stopped {
		return nil
	}
	before := int(d.tokens.InputOffset())
	token, err := d.tokens.Token()
	if err != nil {
		d.stop(before, err)
		return nil
	}
	spacing := len(d.text[before:]) - len(bytes.TrimLeft(d.text[before:], " \t\r\n,:"))
	d.start = before + spacing
	return token
}

// stop records an error of the syntax, with the place and the words of a parser that sees the text as a whole.
func (d *decoder) stop(before int, err error) {
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal(d.text, new(json.RawMessage)), &syntax) {
		before, err = max(before, min(int(syntax.Offset)-1, len(d.text))), syntax
	}
	d.start = before
	if errors.Is(err, io.EOF) || before >= len(d.text)-1 && strings.Contains(err.Error(), "unexpected end") {
		d.start, err = len(d.text), errTooShort
	}
	d.fault("%s", diag.Printable(err.Error()))
	d.stopped = true
}

var errTooShort = errors.New("the document ends too early")

// fault records a fault of the last token. Too many faults stop the decoder, as they may be millions.
func (d *decoder) fault(format string, args ...any) {
	if d.stopped {
		return
	}
	d.place.moveTo(d.start, d.text)
	d.faults = append(d.faults, Fault{Key: d.at.String(), Line: d.place.line + 1, Column: d.place.column + 1,
		Message: fmt.Sprintf(format, args...)})
	d.stopped = len(d.faults) == maxFaults
}

// A position is a place in a text: its offset in bytes, line and column from 0. Columns count characters.
type position struct{ offset, line, column int }

// moveTo goes on to an offset. Offsets in rising order cost one walk over the text, however long its lines are.
func (p *position) moveTo(offset int, text []byte) {
	if offset < p.offset {
		*p = position{}
	}
	passed := text[p.offset:offset]
	if end := bytes.LastIndexByte(passed, '\n'); end >= 0 {
		p.line += bytes.Count(passed, []byte("\n"))
		p.column = 0
		passed = passed[end+1:]
	}
	p.column += utf8.RuneCount(passed)
	p.offset = offset
}

// below calls do for a part of the value.
func (d *decoder) below(step any, do func()) {
	d.at = append(d.at, step)
	do()
	d.at = d.at[:len(d.at)-1]
}

func (d *decoder) object() map[string]any {
	object := map[string]any{}
	for d.more() {
		name, _ := d.token().(string)
		if d.stopped {
			break
		}
		d.below(name, func() { d.member(object, name) })
	}
	d.token() // the brace
	return object
}

// member reads the value of a name. Of a name that stands twice the first value stays.
func (d *decoder) member(object map[string]any, name string) {
	d.checkText()
	if _, twice := object[name]; twice {
		d.fault("the name stands here twice")
		d.value()
		return
	}
	object[name] = d.value()
}

func (d *decoder) list() []any {
	list := []any{}
	for d.more() {
		d.below(len(list), func() { list = append(list, d.value()) })
	}
	d.token() // the bracket
	return list
}

func (d *decoder) more() bool { return !d.stopped && d.tokens.More() }

func (d *decoder) value() any {
	switch token := d.token().(type) {
	case json.Delim:
		return d.nested(token)
	case string:
		d.checkText()
		return token
	case json.Number:
		return d.number(string(token))
	case bool:
		return token
	}
	return nil
}

// nested reads an object or a list. Too many levels stop the decoder, as they may be millions.
func (d *decoder) nested(opening json.Delim) any {
	if len(d.at) >= maxDepth {
		d.fault(tooDeep)
		d.stopped = true
		return nil
	}
	if opening == '{' {
		return d.object()
	}
	return d.list()
}

// number reads a number. A whole one is an int64, however it is written.
func (d *decoder) number(literal string) any {
	if !strings.ContainsAny(literal, ".eE") {
		whole, err := strconv.ParseInt(literal, 10, 64)
		if err != nil {
			d.fault("the number %s does not fit 64 bits", shortened(literal))
		}
		return whole
	}
	number, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		d.fault("the number %s is too large", shortened(literal))
	}
	if number == math.Trunc(number) && math.Abs(number) < 1<<63 {
		return int64(number)
	}
	return number
}

// shortened bounds a number in a message.
func shortened(literal string) string {
	if len(literal) > 40 {
		return literal[:40] + "..."
	}
	return literal
}

// checkText finds the parts of the last token, a string, that encoding/json replaces without a word: bytes that are not
// UTF-8, and halves of surrogate pairs.
func (d *decoder) checkText() {
	literal := d.text[d.start:d.tokens.InputOffset()]
	if !utf8.Valid(literal) {
		d.fault("the string is not UTF-8")
	}
	if half := halfSurrogate(literal); half != "" {
		d.fault(`%s is half of a character; one beyond \uffff is a pair, as in "\ud83d\ude00"`, half)
	}
}

// halfSurrogate finds an escape in a string literal that is half of a surrogate pair (RFC 8259, section 7).
func halfSurrogate(literal []byte) string {
	for i := 0; i+6 <= len(literal); i++ {
		if literal[i] != '\\' {
			continue
		}
		if i++; literal[i] != 'u' {
			continue
		}
		switch unit := codeUnit(literal[i+1:]); {
		case isHigh(unit) && i+11 <= len(literal) && string(literal[i+5:i+7]) == `\u` && isLow(codeUnit(literal[i+7:])):
			i += 10
		case isHigh(unit) || isLow(unit):
			return string(literal[i-1 : i+5])
		}
	}
	return ""
}

// codeUnit reads four hexadecimal digits.
func codeUnit(digits []byte) uint64 {
	unit, _ := strconv.ParseUint(string(digits[:min(4, len(digits))]), 16, 16)
	return unit
}

func isHigh(unit uint64) bool { return 0xd800 <= unit && unit < 0xdc00 }
func isLow(unit uint64) bool  { return 0xdc00 <= unit && unit < 0xe000 }
