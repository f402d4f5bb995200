package web

import (
	"net/http"
	"net/url"
	"strconv"
)

// A scriptPage shows lines of the script.
type scriptPage struct {
	Total int
	From  int
	Lines []struct {
		Number int
		Text   string
		Farm   string
		Key    string
		File   string
		Line   int
	}
	Farm   []struct{ From, To int }
	Name   string // the farm that has its lines marked; "": none
	Ranges []scriptRange
}

// A scriptRange is a link to a range of lines of a farm.
type scriptRange struct {
	From, To int
	Link     string
}

// linesOfPage is the number of lines on a page.
const linesOfPage = 300

// maxRanges is the number of links to ranges on a page.
const maxRanges = 40

// script shows the script, at the lines of a farm, or from a line on.
func (s *Site) script(w http.ResponseWriter, v *visit) error {
	q := v.URL.Query()
	p := scriptPage{Name: q.Get("farm")}
	from := to("script", "lines").with("farm", p.Name).with("from", q.Get("from")).
		with("count", strconv.Itoa(linesOfPage))
	if err := s.get(v, from, &p); err != nil {
		return err
	}
	for _, r := range p.Farm[:min(len(p.Farm), maxRanges)] {
		p.Ranges = append(p.Ranges, scriptRange{r.From, r.To, p.link(max(1, r.From-3)) + "#L" + strconv.Itoa(r.From)})
	}
	s.render(w, v, http.StatusOK, "script", view{Title: "Script", Nav: "script", Body: p})
	return nil
}

// link returns the address of the lines from a line on.
func (p scriptPage) link(from int) string {
	q := url.Values{"from": {strconv.Itoa(from)}}
	if p.Name != "" {
		q.Set("farm", p.Name)
	}
	return "/ui/script?" + q.Encode()
}

// Last is the number of the last line on the page.
func (p scriptPage) Last() int { return p.From + len(p.Lines) - 1 }

// Previous returns the address of the lines before; "" for the first ones.
func (p scriptPage) Previous() string {
	if p.From <= 1 {
		return ""
	}
	return p.link(max(1, p.From-linesOfPage))
}

// Next returns the address of the lines after; "" for the last ones.
func (p scriptPage) Next() string {
	if p.Last() >= p.Total {
		return ""
	}
	return p.link(p.Last() + 1)
}
