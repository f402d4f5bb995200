package api

import (
	"cmp"
	"encoding/json"
	"net/http"
	"path"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A description tells clients of a route. It stands in the tables of describe.go, by the method and the path.
type description struct {
	summary  string
	query    []parameter
	body     any    // a value of the type of the document; nil: the request has none
	optional bool   // the document may be missing
	reply    any    // the same of the answer; nil: it has none
	kind     string // content type of the answer; "": JSON
	status   int    // of the answer; 0: 200
	etag     bool   // 304 is an answer, too
}

// A parameter is one of the query.
type parameter struct{ name, about string }

// parameters names the parameters of a request.
func (d description) parameters() string {
	if len(d.query) == 0 {
		return "no parameters"
	}
	var names []string
	for _, p := range d.query {
		names = append(names, "?"+p.name)
	}
	return "only the parameters " + strings.Join(names, " and ")
}

// openAPI returns the document of the routes that have a description.
func openAPI(routes []Route) []byte {
	s := schemas{}
	paths, described := map[string]object{}, descriptions()
	for _, route := range routes {
		d, ok := described[route.Method+" "+route.Path]
		if !ok {
			continue
		}
		if paths[route.Path] == nil {
			paths[route.Path] = object{}
		}
		paths[route.Path][strings.ToLower(route.Method)] = s.operation(route, d)
	}
	s.of(reflect.TypeFor[problemDocument]())
	text, err := json.Marshal(object{
		"openapi":  "3.0.3",
		"info":     object{"title": "farmc", "version": "1", "description": "See farmc-api(7)."},
		"paths":    paths,
		"security": []object{{"key": []string{}}, {"bearer": []string{}}},
		"components": object{"schemas": s, "securitySchemes": object{
			"key":    object{"type": "apiKey", "in": "header", "name": "Key"},
			"bearer": object{"type": "http", "scheme": "bearer"},
		}},
	})
	if err != nil {
		panic(err) // texts and tables have no error
	}
	return text
}

type object = map[string]any

// schemas are the schemas of named types.
type schemas map[string]object

var wildcard = regexp.MustCompile(`\{([a-z]+)\}`)

// operation describes a route.
func (s schemas) operation(route Route, d description) object {
	parameters := []object{}
	for _, name := range wildcard.FindAllStringSubmatch(route.Path, -1) {
		parameters = append(parameters, object{"name": name[1], "in": "path", "required": true,
			"schema": object{"type": "string"}})
	}
	for _, p := range d.query {
		parameters = append(parameters, object{"name": p.name, "in": "query", "description": p.about,
			"allowEmptyValue": true, "schema": object{"type": "string"}})
	}
	out := object{"summary": d.summary, "parameters": parameters, "responses": s.responses(d)}
	if route.Path == healthPath {
		out["security"] = []object{}
	}
	if d.body != nil {
		out["requestBody"] = object{"required": !d.optional, "content": content("", s.of(reflect.TypeOf(d.body)))}
	}
	return out
}

func (s schemas) responses(d description) object {
	ok := object{"description": "success"}
	switch {
	case d.kind != "":
		ok["content"] = content(d.kind, object{"type": "string"})
	case d.reply != nil:
		ok["content"] = content("", s.of(reflect.TypeOf(d.reply)))
	}
	failed := object{"description": "an error", "content": content("", s.of(reflect.TypeFor[problemDocument]()))}
	out := object{strconv.Itoa(cmp.Or(d.status, http.StatusOK)): ok, "default": failed}
	if d.status == http.StatusCreated { // the same request answers 200 if the resource exists
		out["200"] = ok
	}
	if d.etag {
		out["304"] = object{"description": "not modified"}
	}
	return out
}

func content(kind string, schema object) object {
	if kind == "" {
		kind = "application/json"
	}
	return object{kind: object{"schema": schema}}
}

// of returns the schema of a type, as encoding/json writes it.
func (s schemas) of(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return object{"type": "object", "nullable": true}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.nullable(t.Elem())
	case reflect.Struct:
		return s.named(t)
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Interface:
		return object{}
	}
	return object{"type": "integer"}
}

// nullable returns the schema of a value that can be null. A reference has no such form.
func (s schemas) nullable(t reflect.Type) object {
	var out object
	if t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]() {
		out = s.structure(t)
	} else {
		out = s.of(t)
	}
	out["nullable"] = true
	return out
}

// named returns a reference to the schema of a struct; a struct without a name stands in place.
func (s schemas) named(t reflect.Type) object {
	if t.Name() == "" {
		return s.structure(t)
	}
	name := schemaName(t)
	if s[name] == nil {
		s[name] = object{} // the struct can refer to itself
		s[name] = s.structure(t)
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// schemaName returns the name of the schema of a struct. Packages have types of the same names; the ones of these two
// get the name of their package.
func schemaName(t reflect.Type) string {
	name, of := t.Name(), path.Base(t.PkgPath())
	if of == "explain" || of == "overview" {
		name = of + strings.ToUpper(name[:1]) + name[1:]
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

func (s schemas) structure(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, field := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		properties[name] = s.of(field.Type)
		if !strings.Contains(options, "omitempty") {
			required = append(required, name)
		}
	}
	out := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func (s *Server) openAPI(w http.ResponseWriter, r *http.Request) error {
	if notModified(w, r, s.document()) {
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(s.document())
	return nil
}
