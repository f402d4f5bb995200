package api

import (
	"bufio"
	"net/http"
)

// stream writes a document with a long list, item by item. The head ends before the list, and items are JSON.
func stream(w http.ResponseWriter, head string, length int, item func(i int) []byte) {
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(w, 64<<10)
	_, _ = out.WriteString(head)
	_ = out.WriteByte('[')
	for i := range length {
		if i > 0 {
			_ = out.WriteByte(',')
		}
		if _, err := out.Write(item(i)); err != nil {
			return // the client is gone
		}
	}
	_, _ = out.WriteString("]}\n")
	_ = out.Flush()
}
