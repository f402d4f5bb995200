package relay

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// A kind is the kind of a frame.
type kind byte

// The kinds. A request has one frame; all others are parts of a reply.
const (
	kindRequest       kind = 'Q'
	kindBusy          kind = 'B' // instead of a reply: the server has too many requests
	kindHead          kind = 'H' // status and headers, once
	kindData          kind = 'D'
	kindFlush         kind = 'F' // send all data to the client now
	kindWriteDeadline kind = 'W' // milliseconds from now; 0: none
	kindEnd           kind = 'E'
)

// maxData is the size of the largest frame of data, in bytes.
const maxData = 32 << 10

// maxPayload is the largest payload of a kind; negative: there is no such kind.
func (k kind) maxPayload() int {
	switch k {
	case kindRequest, kindHead:
		return maxHead
	case kindData:
		return maxData
	case kindWriteDeadline:
		return 8
	case kindBusy, kindFlush, kindEnd:
		return 0
	}
	return -1
}

// headerSize is the number of bytes before the payload.
const headerSize = 5

// writeFrame writes a frame.
func writeFrame(to io.Writer, k kind, payload []byte) error {
	if len(payload) > k.maxPayload() {
		return fmt.Errorf("a frame %c of %d bytes, at most %d", k, len(payload), k.maxPayload())
	}
	header := append(make([]byte, 0, headerSize), byte(k))
	header = binary.BigEndian.AppendUint32(header, uint32(len(payload)))
	_, err := to.Write(append(header, payload...))
	return err
}

// readFrame reads a frame. A payload that is too long is not read.
func readFrame(from io.Reader) (kind, []byte, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(from, header[:]); err != nil {
		return 0, nil, err
	}
	k, length := kind(header[0]), int64(binary.BigEndian.Uint32(header[1:]))
	if k.maxPayload() < 0 {
		return 0, nil, fmt.Errorf("a frame %q, which does not exist", k)
	}
	if length > int64(k.maxPayload()) {
		return 0, nil, fmt.Errorf("a frame %q of %d bytes, at most %d", k, length, k.maxPayload())
	}
	payload := make([]byte, length)
	_, err := io.ReadFull(from, payload)
	return k, payload, err
}

// encode returns a value as JSON without escapes of HTML, which would make it longer.
func encode(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return out.Bytes(), err
}

// decode reads one JSON value without unknown keys, and nothing after it.
func decode(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the JSON value")
	}
	return nil
}

// encodeDeadline returns a deadline as milliseconds from now. A deadline in the past is a millisecond.
func encodeDeadline(t time.Time) []byte {
	left := int64(0)
	if !t.IsZero() {
		left = max(1, time.Until(t).Milliseconds())
	}
	return binary.BigEndian.AppendUint64(nil, uint64(left))
}

func decodeDeadline(payload []byte) (time.Time, error) {
	if len(payload) != 8 {
		return time.Time{}, fmt.Errorf("a deadline of %d bytes, not 8", len(payload))
	}
	left := binary.BigEndian.Uint64(payload)
	if left == 0 {
		return time.Time{}, nil
	}
	return time.Now().Add(time.Duration(min(left, 1<<40)) * time.Millisecond), nil
}
