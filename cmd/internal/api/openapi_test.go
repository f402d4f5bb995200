package api

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Each route has a description, and each description a route.
func TestDescriptions(t *testing.T) {
	described := descriptions()
	for _, route := range Routes() {
		name := route.Method + " " + route.Path
		if described[name].summary == "" {
			t.Errorf("describe.go lacks %s", name)
		}
		delete(described, name)
	}
	for name := range described {
		t.Errorf("describe.go has %s, which is no route", name)
	}
}

// The document is a valid one, and has every route.
func TestOpenAPI(t *testing.T) {
	s := start(t, siteFiles)
	_, x := s.get(t, "/v1/openapi.json")
	document, err := openapi3.NewLoader().LoadFromData([]byte(x.answer))
	if err == nil {
		err = document.Validate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	operations := 0
	for _, item := range document.Paths.Map() {
		operations += len(item.Operations())
	}
	if operations != len(Routes()) {
		t.Errorf("the document has %d operations, the program %d routes", operations, len(Routes()))
	}
}

// strictRouter finds the operation of a request. Its schemas permit no key that they do not name.
var strictRouter = sync.OnceValues(func() (routers.Router, error) {
	var document object
	if err := json.Unmarshal(openAPI(Routes()), &document); err != nil {
		return nil, err
	}
	forbidMore(document)
	text, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	strict, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(strict)
})

// forbidMore forbids other keys in all objects whose keys are named.
func forbidMore(value any) {
	switch value := value.(type) {
	case object:
		if value["type"] == "object" && value["properties"] != nil {
			value["additionalProperties"] = false
		}
		for _, item := range value {
			forbidMore(item)
		}
	case []any:
		for _, item := range value {
			forbidMore(item)
		}
	}
}

// fits returns why the reply of an exchange does not fit the document. Routes of tests have no operation.
func fits(t *testing.T, r *http.Request, x exchange) error {
	router, err := strictRouter()
	if err != nil {
		t.Fatal(err)
	}
	route, parameters, err := router.FindRoute(r)
	if err != nil {
		return nil
	}
	reply := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: parameters,
			Route: route},
		Status: x.status, Header: x.got, Body: io.NopCloser(strings.NewReader(x.answer)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true,
			ExcludeResponseBody: x.status == http.StatusNotModified || r.Method == http.MethodHead ||
				!strings.HasPrefix(x.got.Get("Content-Type"), "application/json")},
	}
	return openapi3filter.ValidateResponse(t.Context(), reply)
}

// A reply that differs from the document is found.
func TestFits(t *testing.T) {
	s := start(t, siteFiles)
	x := s.do(t, exchange{key: "reader", path: "/v1/farms/web"})
	r, err := http.NewRequestWithContext(t.Context(), "GET", "/v1/farms/web", nil)
	if err != nil {
		t.Fatal(err)
	}
	good := x.answer
	for rule, answer := range map[string]string{
		"another key":   strings.Replace(good, `"name"`, `"more":1,"name"`, 1),
		"a missing key": strings.Replace(good, `"name":"web",`, "", 1),
		"another type":  strings.Replace(good, `"name":"web"`, `"name":1`, 1),
		"null":          strings.Replace(good, `"faults":[]`, `"faults":null`, 1),
	} {
		if x.answer = answer; answer == good || fits(t, r, x) == nil {
			t.Errorf("%s is not found in %s", rule, answer)
		}
	}
	x.answer = good
	if err := fits(t, r, x); err != nil {
		t.Error(err)
	}
}
