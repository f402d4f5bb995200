package ruleset

import (
	"crypto/sha256"
	"hash"
)

// A digester makes the digest of a text on another processor while the text is written: that of 10,000 farms takes as
// long as to write their script. The zero value is ready for use.
type digester struct {
	sum   hash.Hash
	taken int         // bytes of the text that are in parts, or in the sum
	parts chan []byte // nil: the text is short, so far
	done  chan struct{}
}

// digestPart is the size from which a part of the text is worth a message.
const digestPart = 1 << 20

// follow tells that the text has grown. Its bytes do not change before end.
func (d *digester) follow(text []byte) {
	if len(text)-d.taken < digestPart {
		return
	}
	if d.parts == nil {
		d.sum, d.parts, d.done = sha256.New(), make(chan []byte, 64), make(chan struct{})
		go d.work()
	}
	d.parts <- text[d.taken:]
	d.taken = len(text)
}

func (d *digester) work() {
	defer close(d.done)
	for part := range d.parts {
		d.sum.Write(part)
	}
}

// end gives the digest of the complete text.
func (d *digester) end(text []byte) []byte {
	if d.parts == nil {
		sum := sha256.Sum256(text)
		return sum[:]
	}
	d.parts <- text[d.taken:]
	close(d.parts)
	<-d.done
	return d.sum.Sum(nil)
}
