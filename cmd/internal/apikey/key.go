// Package apikey knows the keys of the API: their roles, their file, and the search for a key.
//
// A key is a random text that its owner sends with each request. The file has a line for each key:
//
//	NAME ROLE sha256:HEX [FARM...]
//
// with the SHA-256 digest of the key, so a copy of the file opens nothing. Keys have 130 random bits, so the digest
// needs neither salt nor a slow hash.
//
// Order of the files: key.go (Key, Role, Permission and the search), parse.go (lines of the file), file.go (File, which
// is read again at each request), append.go (new keys). The package knows neither HTTP nor farms.
package apikey

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
)

// A Role is the set of permissions of a key.
type Role string

// The roles.
const (
	Read   Role = "read"   // reads everything
	State  Role = "state"  // reads everything, and sets states, weights, health words and bans
	Write  Role = "write"  // everything
	Health Role = "health" // reads farms, and sets health words
)

// Roles has all roles, in the order of messages.
var Roles = []Role{Read, State, Write, Health}

// A Permission is needed for a request.
type Permission int

// The permissions.
const (
	ReadFarms Permission = iota
	ReadAll
	SetHealth
	SetState
	WriteAll
)

// permissions returns the permissions of a role.
func (r Role) permissions() []Permission {
	switch r {
	case Read:
		return []Permission{ReadFarms, ReadAll}
	case State:
		return []Permission{ReadFarms, ReadAll, SetHealth, SetState}
	case Write:
		return []Permission{ReadFarms, ReadAll, SetHealth, SetState, WriteAll}
	case Health:
		return []Permission{ReadFarms, SetHealth}
	}
	return nil
}

// limitable reports whether a key of the role can be limited to farms.
func (r Role) limitable() bool { return r == State || r == Health }

// A Key is a line of the file.
type Key struct {
	Name   string
	Role   Role
	Farms  []string // the farms that the key may change; empty: all
	digest [sha256.Size]byte
}

// Root is the key of requests that need no key: root on the unix socket.
func Root() Key { return Key{Name: "root", Role: Write} }

// May reports whether the key has a permission for a farm. The farm is "" for a request that concerns all farms; a key
// that is limited to farms changes nothing then. The limit does not concern reading.
func (k Key) May(p Permission, farm string) bool {
	if !slices.Contains(k.Role.permissions(), p) {
		return false
	}
	reads := p == ReadFarms || p == ReadAll
	return reads || len(k.Farms) == 0 || slices.Contains(k.Farms, farm)
}

// Equal reports whether two keys have one name and the same permissions.
func (k Key) Equal(other Key) bool {
	return k.Name == other.Name && k.Role == other.Role && slices.Equal(k.Farms, other.Farms)
}

// Keys are the keys of a file.
type Keys []Key

// Find returns the key with a secret. It compares the digest of the secret with the digests of all keys, each in
// constant time, so its duration depends only on the length of the secret and the number of keys.
func (ks Keys) Find(secret string) (Key, bool) {
	digest := sha256.Sum256([]byte(secret))
	found := -1
	for i := range ks {
		same := subtle.ConstantTimeCompare(ks[i].digest[:], digest[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return Key{}, false
	}
	return ks[found], true
}
