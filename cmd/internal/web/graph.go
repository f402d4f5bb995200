package web

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"strconv"
)

// picturePolicy permits the style element of a picture, and nothing else.
const picturePolicy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"

// graph answers with the picture of a farm. A page shows it as an image, so nothing in it becomes a part of the page.
func (s *Site) graph(w http.ResponseWriter, v *visit) error {
	text, err := s.text(v, to("farms", v.PathValue("farm"), "graph"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", picturePolicy)
	w.Header().Set("Content-Type", "image/svg+xml")
	_, _ = w.Write(text)
	return nil
}

// A picture is the picture of a farm, with its size: a page keeps the room for it free.
type picture struct {
	Farm          string
	Width, Height int
}

// pictureOf returns the picture of a farm; nil if there is none.
func (s *Site) pictureOf(v *visit, farm string) *picture {
	text, err := s.text(v, to("farms", farm, "graph"))
	if err != nil {
		return nil
	}
	p := &picture{Farm: farm}
	for decoder := xml.NewDecoder(bytes.NewReader(text)); ; {
		token, err := decoder.Token()
		if err != nil {
			return nil
		}
		if e, isElement := token.(xml.StartElement); isElement {
			p.Width, p.Height = sizeOf(e, "width"), sizeOf(e, "height")
			return p
		}
	}
}

// sizeOf returns a size in an attribute, in pixels; 0: there is none.
func sizeOf(e xml.StartElement, name string) int {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			n, _ := strconv.ParseFloat(a.Value, 64)
			return int(n)
		}
	}
	return 0
}
