package keepalived

import (
	"strconv"
	"strings"
)

// ofEscapes reports whether the words of a statement have single quotes and escapes. keepalived reads only those of
// scripts and regular expressions so; in others a single quote is a character.
func ofEscapes(name string) bool {
	return name == "regex" || ofShell[name] || strings.HasPrefix(name, "notify")
}

// escaped takes the first word off a line: it ends at a blank or a brace outside of quotes. Quotes are taken off, and
// escapes replaced. Whole reports whether each quote has its end.
func escaped(line string) (word, rest string, whole bool) {
	var out strings.Builder
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line):
			value, length := escape(line[i+1:])
			out.WriteByte(value)
			i += length
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case useEnd(line[i:]) > 0:
			end := useEnd(line[i:])
			out.WriteString(line[i : i+end+1])
			i += end
		case quote == 0 && strings.IndexByte(blanks+"{}", c) >= 0:
			return out.String(), line[i:], true
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), "", quote == 0
}

// letters are the characters of escapes by a letter.
var letters = map[byte]byte{'a': '\a', 'b': '\b', 'E': 0x1b, 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

// escape reads an escape after its backslash, and gives its length: a letter, up to three octal digits, x and
// hexadecimal digits, c and the letter of a control character, or any other character, which stands for itself.
func escape(text string) (value byte, length int) {
	octal := text[:min(3, len(text))]
	octal = octal[:len(octal)-len(strings.TrimLeft(octal, "01234567"))]
	digits := text[1 : len(text)-len(strings.TrimLeft(text[1:], "0123456789abcdefABCDEF"))]
	switch c := text[0]; {
	case octal != "":
		n, _ := strconv.ParseUint(octal, 8, 16)
		return byte(n), len(octal)
	case c == 'x' && digits != "":
		n, _ := strconv.ParseUint(digits[max(0, len(digits)-2):], 16, 8)
		return byte(n), 1 + len(digits)
	case c == 'c' && len(text) > 1:
		return text[1] & 0x1f, 2
	case letters[c] != 0:
		return letters[c], 1
	default:
		return c, 1
	}
}
