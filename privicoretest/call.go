package privicoretest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/privicore/privicore-go/internal/operation"
)

// call is one request on its way through an operation.
type call struct {
	op      *operation.Operation
	request *http.Request
	body    []byte
	fault   mishap
	entry   *entry // in the log
	seeded  bool   // made by a method of the server, not by a client

	malformed *answer // refuses parameters that cannot be read, or nil

	profile *profile // whose token was sent
	token   *token

	application *application // whose credentials were sent

	undo func() // takes back what the call did ahead of its command, or nil

	params map[string]any // string, json.Number, bool, nil, []any, map[string]any
}

// path returns the parameter in the path.
func (c *call) path() string { return c.request.PathValue(c.op.PathParameter()) }

// text returns a parameter that is a string, or "".
func (c *call) text(name string) string {
	value, _ := c.params[name].(string)
	return value
}

// number returns a parameter that was checked to be a number, or 0.
func (c *call) number(name string) int {
	n, _ := whole(c.params[name])
	return n
}

// texts returns a parameter that was checked to be a list of strings.
func (c *call) texts(name string) []string {
	list, _ := c.params[name].([]any)
	values := make([]string, 0, len(list))
	for _, item := range list {
		value, _ := item.(string)
		values = append(values, value)
	}
	return values
}

// ids returns a list of UUIDs in lower case, as the server writes them.
func (c *call) ids(name string) []string {
	ids := c.texts(name)
	for i := range ids {
		ids[i] = strings.ToLower(ids[i])
	}
	return ids
}

// has reports whether a parameter was given. A null in JSON does not count.
func (c *call) has(name string) bool { return c.params[name] != nil }

// decode reads the parameters from where the operation expects them.
func (c *call) decode() *answer {
	switch c.op.Encoding {
	case operation.Form:
		return c.decodeForm()
	case operation.JSON:
		return c.decodeJSON()
	case operation.URL:
		query, err := url.ParseQuery(c.request.URL.RawQuery)
		if err != nil {
			return malformed("The query is malformed.")
		}
		c.params = listed(query)
	case operation.Nowhere:
		if c.request.Method == http.MethodPost {
			return c.decodeNothing()
		}
	}
	return nil
}

func (c *call) decodeForm() *answer {
	// No body is an empty form, whatever the Content-Type says.
	if len(c.body) > 0 {
		if refusal := c.expect("application/x-www-form-urlencoded"); refusal != nil {
			return refusal
		}
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return malformed("The form is malformed.")
	}
	c.params = listed(form)
	return nil
}

func (c *call) decodeJSON() *answer {
	if refusal := c.expect("application/json"); refusal != nil {
		return refusal
	}
	decoder := json.NewDecoder(bytes.NewReader(c.body))
	decoder.UseNumber()
	if err := decoder.Decode(&c.params); err != nil || c.params == nil {
		return malformed("The body is not a JSON object.")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return malformed("There is something after the JSON object.")
	}
	return nil
}

// decodeNothing accepts the empty bodies that clients send to an operation
// without parameters.
func (c *call) decodeNothing() *answer {
	switch string(bytes.TrimSpace(c.body)) {
	case "", "{}", "[]", "null", `""`:
		return nil
	}
	return malformed("There are no parameters here.")
}

// expect refuses a request with another Content-Type.
func (c *call) expect(mediaType string) *answer {
	sent, _, _ := mime.ParseMediaType(c.request.Header.Get("Content-Type"))
	if sent == mediaType {
		return nil
	}
	if sent == "" {
		sent = "nothing"
	}
	return malformed("The Content-Type must be " + mediaType + ", not " + sent + ".")
}

// listed turns a form into parameters. A name that ends in [] gives a list, any
// other name a single value. A name that came more than once gives a list too,
// which the rules for a single value refuse.
func listed(form url.Values) map[string]any {
	params := make(map[string]any, len(form))
	for name, values := range form {
		if len(values) == 1 && !strings.HasSuffix(name, "[]") {
			params[name] = values[0]
			continue
		}
		list := make([]any, len(values))
		for i, value := range values {
			list[i] = value
		}
		params[name] = list
	}
	return params
}

// check returns what is wrong with the parameters.
func (c *call) check(ep endpoint) []problem {
	var problems []problem
	known := make(map[string]bool, len(ep.fields))
	for _, f := range ep.fields {
		known[f.name] = true
		if why := f.rule(c.params[f.name], c.has(f.name)); why != "" {
			problems = append(problems, problem{f.name, why})
		}
	}
	if ep.soft {
		return problems
	}
	for _, name := range slices.Sorted(maps.Keys(c.params)) {
		if !known[name] && !(ep.meta && strings.HasPrefix(name, "meta[")) {
			problems = append(problems, problem{name, "This field was not expected."})
		}
	}
	return problems
}

// whole reads an integer from a form value or from a JSON number.
func whole(value any) (int, bool) {
	if digits, ok := value.(string); ok {
		n, err := strconv.ParseInt(digits, 10, 32)
		return int(n), err == nil
	}
	n, ok := wholeNumber(value)
	return int(n), ok && n >= math.MinInt32 && n <= math.MaxInt32
}

// wholeNumber reads an integer from a JSON number, which may be written as 7.0.
func wholeNumber(value any) (int64, bool) {
	number, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	if n, err := number.Int64(); err == nil {
		return n, true
	}
	const exact = 1 << 53 // a float64 holds every whole number below
	f, err := number.Float64()
	return int64(f), err == nil && f == math.Trunc(f) && math.Abs(f) < exact
}
