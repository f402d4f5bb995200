package nftlb

import (
	"fmt"
	"time"
)

// A Remembered is a client that the kernel remembers.
type Remembered struct {
	Client, Backend string
	Left            float64 // seconds
}

// SessionListing lists the fixed sessions of a farm, then the clients that the kernel remembers.
func (f *Farm) SessionListing(dynamic []Remembered) []byte {
	all := sessions(f)
	for _, d := range dynamic {
		all = append(all, object{{"client", d.Client}, {"backend", d.Backend}, {"expiration", expiration(d.Left)}})
	}
	return Indent(object{{"sessions", all}})
}

// expiration writes a time as nft does: 59s988ms.
func expiration(seconds float64) (text string) {
	left := time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if n := left / unit.long; n > 0 {
			text += fmt.Sprintf("%d%s", n, unit.name)
		}
		left %= unit.long
	}
	return text
}
