package api

import (
	"bufio"
	"encoding/json"
	"net/http"
)

// stream writes a document with a long list item by item. The head ends before the list.
func stream(w http.ResponseWriter, head string, length int, item func(i int) any) {
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(w, 64<<10)
	_, _ = out.WriteString(head)
	_ = out.WriteByte('[')
	for i := range length {
		if i > 0 {
			_ = out.WriteByte(',')
		}
		text, err := json.Marshal(item(i))
		if err != nil {
			panic(err) // items are texts and numbers
		}
		if _, err := out.Write(text); err != nil {
			return // the client is gone
		}
	}
	_, _ = out.WriteString("]}\n")
	_ = out.Flush()
}
