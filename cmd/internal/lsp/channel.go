package lsp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/creachadair/jrpc2/channel"
)

// maxMessage is the largest message that an editor may send, in bytes: the largest list of networks.
const maxMessage = 64 << 20

// maxHeaders is the largest size of the headers of a message, in bytes.
const maxHeaders = 4 << 10

// A messages is the stream of messages of an editor. The channel of the library would take memory for any size that an
// editor announces. It ends at the notification exit.
type messages struct {
	channel.Channel // for replies
	in              *bufio.Reader
	exited          atomic.Bool
}

func newMessages(in io.Reader, out io.WriteCloser) *messages {
	return &messages{Channel: channel.Header("")(strings.NewReader(""), out), in: bufio.NewReader(in)}
}

// Recv gives the next message. It is io.EOF at the end of the stream, and at the notification exit: the editor may keep
// the stream open, and waits for the end of the process.
func (m *messages) Recv() ([]byte, error) {
	size, err := m.headers()
	if err != nil {
		return nil, err
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(m.in, text); err != nil {
		return nil, fmt.Errorf("a message of %d bytes is cut off: %w", size, err)
	}
	if isExit(text) {
		m.exited.Store(true)
		return nil, io.EOF
	}
	return text, nil
}

// isExit reports whether a message is the notification exit.
func isExit(text []byte) bool {
	var message struct{ Method string }
	return bytes.Contains(text, []byte(`"exit"`)) && json.Unmarshal(text, &message) == nil && message.Method == "exit"
}

// headers reads the headers of a message, and gives the size of its text.
func (m *messages) headers() (size int, err error) {
	size = -1
	for total := 0; ; {
		line, err := m.in.ReadSlice('\n')
		switch total += len(line); {
		case errors.Is(err, io.EOF) && total == 0:
			return 0, io.EOF
		case errors.Is(err, bufio.ErrBufferFull) || total > maxHeaders:
			return 0, fmt.Errorf("the headers of a message have more than %d bytes", maxHeaders)
		case err != nil:
			return 0, fmt.Errorf("the headers of a message are cut off: %w", err)
		}
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		if name == "" {
			break
		}
		if strings.EqualFold(name, "Content-Length") {
			if size, err = contentLength(strings.TrimSpace(value)); err != nil {
				return 0, err
			}
		}
	}
	if size < 0 {
		return 0, errors.New("a message has no Content-Length")
	}
	return size, nil
}

func contentLength(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	switch {
	case err != nil:
		return 0, fmt.Errorf("Content-Length is %.20q, not a number", text)
	case n > maxMessage:
		return 0, fmt.Errorf("a message has %d bytes, at most %d", n, maxMessage)
	}
	return int(n), nil
}
