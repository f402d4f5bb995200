package apikey

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// digestPrefix names the hash function of the digests.
const digestPrefix = "sha256:"

// The forms of names of keys, and of farms in lines of keys.
var (
	nameRule = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,47}$`)
	farmRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$`)
)

// Parse reads the lines of a file. Empty lines and lines that begin with '#' are left out. A line with a fault is left
// out with an error: the keys of the other lines hold.
func Parse(text string) (Keys, []error) {
	var keys Keys
	var errs []error
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := parseLine(line)
		if err == nil && keys.has(k.Name) {
			err = fmt.Errorf("a second key has the name %s", k.Name)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", number, err))
			continue
		}
		keys = append(keys, k)
	}
	return keys, errs
}

func (ks Keys) has(name string) bool {
	return slices.ContainsFunc(ks, func(k Key) bool { return k.Name == name })
}

// parseLine never quotes a word that can be a digest or a key: messages go to a log.
func parseLine(line string) (Key, error) {
	words := strings.Fields(line)
	if len(words) < 3 {
		return Key{}, errors.New("a key is NAME ROLE sha256:HEX [FARM...]")
	}
	k := Key{Name: words[0], Role: Role(words[1]), Farms: words[3:]}
	if err := k.Validate(); err != nil {
		return Key{}, err
	}
	digits, prefixed := strings.CutPrefix(words[2], digestPrefix)
	digest, err := hex.DecodeString(digits)
	if !prefixed || err != nil || len(digest) != sha256.Size {
		return Key{}, fmt.Errorf("key %s: the third word is not sha256: and 64 hexadecimal digits", k.Name)
	}
	copy(k.digest[:], digest)
	return k, nil
}

// Validate checks all fields but the digest, which a key that another process found lacks.
func (k Key) Validate() error {
	if !nameRule.MatchString(k.Name) {
		return errors.New("the name of a key is a letter, then letters, digits, '-', '_' and '.', 48 at most")
	}
	if !slices.Contains(Roles, k.Role) {
		return fmt.Errorf("key %s: the role is not one of read, state, write, health", k.Name)
	}
	if len(k.Farms) > 0 && !k.Role.limitable() {
		return fmt.Errorf("key %s: only keys of the roles state and health can be limited to farms", k.Name)
	}
	for _, farm := range k.Farms {
		if !farmRule.MatchString(farm) {
			return fmt.Errorf("key %s: a farm's name is a letter or a digit, then letters, digits, '-', '_' and '.', "+
				"96 at most", k.Name)
		}
	}
	return nil
}

// line is the line of the key in the file.
func (k Key) line() string {
	words := []string{k.Name, string(k.Role), digestPrefix + hex.EncodeToString(k.digest[:])}
	return strings.Join(append(words, k.Farms...), " ") + "\n"
}
