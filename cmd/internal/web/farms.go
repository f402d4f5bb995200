package web

import (
	"net/http"
	"net/url"
	"strconv"

	"farmc/cmd/internal/overview"
)

// rowsOfPage is the number of farms on a page.
const rowsOfPage = 80

// A farmsPage shows all farms, page by page.
type farmsPage struct {
	overview.Page
	Search string
	Show   string
	Span   span
	Spans  []spanChoice
	Groups []groupLink
	Total  int
}

// A groupLink leads to the farms of a group.
type groupLink struct {
	state
	Count   int
	Link    string
	Current bool
}

// farms shows all farms, the ones with problems first.
func (s *Site) farms(w http.ResponseWriter, v *visit) error {
	q := v.URL.Query()
	p := farmsPage{Search: q.Get("search"), Show: q.Get("show"), Span: spanOf(q)}
	from := to("overview").with("search", p.Search).with("show", p.Show).with("page", q.Get("page")).
		with("size", strconv.Itoa(rowsOfPage))
	if err := s.get(v, from, &p.Page); err != nil {
		return err
	}
	for _, n := range p.Page.Groups {
		p.Total += n
	}
	p.Groups = append(p.Groups, groupLink{state: state{"all", ""}, Count: p.Total, Link: p.link("", 1),
		Current: p.Show == ""})
	for _, g := range overview.Groups {
		p.Groups = append(p.Groups, groupLink{state: groupState(g), Count: p.Page.Groups[g],
			Link: p.link(string(g), 1), Current: p.Show == string(g)})
	}
	p.Spans = spanChoices(p.Span, p.Sums.History.Seconds, func(of span) string {
		other := p
		other.Span = of
		return other.link(p.Show, p.Page.Page)
	})
	s.render(w, v, http.StatusOK, "farms", view{Title: "Farms", Nav: "farms", Live: true, Body: p})
	return nil
}

// link returns the address of a page of farms.
func (p farmsPage) link(show string, page int) string {
	q := url.Values{}
	if p.Search != "" {
		q.Set("search", p.Search)
	}
	if show != "" {
		q.Set("show", show)
	}
	if p.Span != lastHour {
		q.Set("span", string(p.Span))
	}
	if page > 1 {
		q.Set("page", strconv.Itoa(page))
	}
	if len(q) == 0 {
		return "/ui/"
	}
	return "/ui/?" + q.Encode()
}

// Figures are the numbers of a farm that the table has columns for.
func (p farmsPage) Figures(n overview.Numbers) []figure {
	return knownFigures(figuresOf(n, p.Span, p.NoBytes))
}

// Previous returns the address of the page before; "" for the first one.
func (p farmsPage) Previous() string {
	if p.Page.Page <= 1 {
		return ""
	}
	return p.link(p.Show, p.Page.Page-1)
}

// Next returns the address of the next page; "" for the last one.
func (p farmsPage) Next() string {
	if p.Page.Page >= p.Pages {
		return ""
	}
	return p.link(p.Show, p.Page.Page+1)
}

// First is the number of the first farm on the page among the ones that were found, from 1.
func (p farmsPage) First() int { return (p.Page.Page-1)*rowsOfPage + 1 }

// Last is the number of the last one.
func (p farmsPage) Last() int { return p.First() + len(p.Farms) - 1 }
