package privicoretest

// dataTokenRecord is a token in a list.
type dataTokenRecord struct {
	Token     string `json:"token"`
	Context   string `json:"context"`
	FileName  string `json:"fileName"`
	Extension string `json:"extension"`
	Size      int64  `json:"size"`
	CreatedAt string `json:"createdAt"`
}

// page is a part of a list.
type page struct {
	Items []dataTokenRecord `json:"items"`
	Meta  pageMeta          `json:"meta"`
}

type pageMeta struct {
	Count   int `json:"count"` // of all tokens that match, on any page
	Page    int `json:"page"`
	PerPage int `json:"perPage"`
}

const (
	defaultPerPage = 20
	maxPerPage     = 100
)

// filters has, for each query parameter that filters a list, the value of a token
// that it is compared with.
var filters = map[string]func(*dataToken) string{
	"filters[meta.file.fileName]":  func(t *dataToken) string { return t.fileName },
	"filters[meta.file.extension]": func(t *dataToken) string { return t.extension },
	"filters[meta.data.type]":      func(t *dataToken) string { return t.meta["data.type"] },
	"filters[context]":             func(t *dataToken) string { return t.context },
	"filters[token]":               func(t *dataToken) string { return t.token },
}

var listFields = []field{
	{"page", optional(positive)},
	{"perPage", optional(positive)},
	{"filters[meta.file.fileName]", optional(given)},
	{"filters[meta.file.extension]", optional(given)},
	{"filters[meta.data.type]", optional(given)},
	{"filters[context]", optional(given)},
	{"filters[token]", optional(given)},
}

func listDataTokens(s *state, c *call) answer {
	list := page{Items: []dataTokenRecord{}, Meta: pageMeta{Page: 1, PerPage: defaultPerPage}}
	if c.has("page") {
		list.Meta.Page = c.number("page")
	}
	if c.has("perPage") {
		list.Meta.PerPage = min(c.number("perPage"), maxPerPage)
	}
	first := (list.Meta.Page - 1) * list.Meta.PerPage
	for _, t := range c.profile.dataTokens {
		if !c.wants(t) {
			continue
		}
		if n := list.Meta.Count; n >= first && n < first+list.Meta.PerPage {
			list.Items = append(list.Items, dataTokenRecord{t.token, t.context, t.fileName, t.extension, t.size, s.timestamp(t.created)})
		}
		list.Meta.Count++
	}
	return value(list)
}

// wants reports whether a token passes the filters of the call.
func (c *call) wants(t *dataToken) bool {
	for name, of := range filters {
		if c.has(name) && c.text(name) != of(t) {
			return false
		}
	}
	return true
}
