package diag

import (
	"fmt"
	"strings"
)

// listedBytes bounds the options that a hint lists, so that it fits in a line or two of a terminal.
const listedBytes = 130

// Suggest gives a hint for a word that is none of the options: the nearest option, or else the first of them.
func Suggest(word string, options []string) string {
	if near := Nearest(word, options); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(options) == 0 {
		return ""
	}
	listed, size := 0, 0
	for listed < len(options) && size+len(options[listed]) <= listedBytes {
		size += len(options[listed]) + len(", ")
		listed++
	}
	text := "one of " + strings.Join(options[:listed], ", ")
	if others := len(options) - listed; others > 0 {
		text += fmt.Sprintf(" and %d others", others)
	}
	return text
}

// Nearest gives the known word that is nearest to a misspelt one, or "" if none is near. The distance is at most a
// third of the length of the word in bytes, and at least 1 is allowed.
func Nearest(word string, known []string) string {
	best, least := "", max(len(word)/3, 1)+1
	for _, k := range known {
		if d := distance(word, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the optimal string alignment distance of two words: the Levenshtein distance, but a swap of neighbours
// counts once.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
