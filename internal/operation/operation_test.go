package operation_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go/internal/operation"
)

// All lists the variables of table.go, each once and in the same order.
func TestAllIsComplete(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "table.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	var declared, listed []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if spec.Names[0].Name != "All" {
			declared = append(declared, spec.Names[0].Name)
			return false
		}
		for _, element := range spec.Values[0].(*ast.CompositeLit).Elts {
			listed = append(listed, element.(*ast.Ident).Name)
		}
		return false
	})
	require.NotEmpty(t, declared)
	assert.Equal(t, declared, listed)
	assert.Len(t, operation.All, len(listed))
}

func TestRows(t *testing.T) {
	t.Parallel()
	var sections, names, calls []string
	for _, op := range operation.All {
		if !slices.Contains(sections, op.Section()) {
			sections = append(sections, op.Section())
		}
		assert.Equal(t, sections[len(sections)-1], op.Section(), "%s: sections are contiguous", op.Name)
		assert.NotEmpty(t, op.Title, op.Name)
		assert.Regexp(t, `^[A-Z][A-Za-z]*\.[A-Z][A-Za-z]*$`, op.Name)
		assert.NotContains(t, names, op.Name, "a method is in the table once")
		names = append(names, op.Name)
		assert.Contains(t, []string{"S", "D", "L", "I", "D, L"}, op.Source, op.Name)
		assert.Contains(t, []string{http.MethodGet, http.MethodPost}, op.Method, op.Name)

		if op.OnFileServer() {
			assert.Empty(t, op.Path, "%s: the URL comes from an earlier answer", op.Name)
			continue
		}
		assert.NotContains(t, calls, op.Method+" "+op.Path, "%s: a call is in the table once", op.Name)
		calls = append(calls, op.Method+" "+op.Path)
		assert.Regexp(t, `^(/[a-z-]+)+(/\{[a-zA-Z]+\})?$`, op.Path, "%s: one parameter at most, and at the end", op.Name)
		assert.Equal(t, op.Path, op.Prefix()+braced(op.PathParameter()), op.Name)
		if op.Method == http.MethodGet {
			assert.Contains(t, []operation.Encoding{operation.Nowhere, operation.URL}, op.Encoding, "%s: a GET has no body", op.Name)
		}
		if op.Answer == operation.Command || op.Answer == operation.BareID {
			assert.False(t, op.Idempotent, "%s: a command must not run twice", op.Name)
		}
	}
}

func braced(name string) string {
	if name == "" {
		return ""
	}
	return "{" + name + "}"
}

func TestFixture(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Utility.Health":                 "utility/health",
		"Profile.ID":                     "profile/id",
		"Profile.GenerateQRToken":        "profile/generate_qr_token",
		"PublicKey.RetrieveCAB":          "public_key/retrieve_cab",
		"Device.ConfigureMeta":           "device/configure_meta",
		"VerifiedAuthenticator.Strategy": "verified_authenticator/strategy",
	} {
		op := operation.Operation{Name: name}
		assert.Equal(t, want, op.Fixture())
	}
	var fixtures []string
	for _, op := range operation.All {
		assert.NotContains(t, fixtures, op.Fixture())
		fixtures = append(fixtures, op.Fixture())
	}
}

func TestPathParameter(t *testing.T) {
	t.Parallel()
	op := operation.Operation{Path: "/request-status/{commandId}"}
	assert.Equal(t, "/request-status/", op.Prefix())
	assert.Equal(t, "commandId", op.PathParameter())
	op = operation.Operation{Path: "/health"}
	assert.Equal(t, "/health", op.Prefix())
	assert.Empty(t, op.PathParameter())
}

// The doc comment of every method begins with the method's name. It names the
// operation as the vendor does, says so if the operation is inferred, and has the
// address of the vendor's page if that is known.
func TestDocComments(t *testing.T) {
	t.Parallel()
	docs, services := methodDocs(t)
	require.NotEmpty(t, services)
	for _, op := range operation.All {
		service, method, _ := strings.Cut(op.Name, ".")
		require.True(t, services[service], "%s is of no service", op.Name)
		doc, ok := docs[op.Name]
		if !assert.True(t, ok, "%s is not declared", op.Name) {
			continue
		}
		for _, flaw := range flaws(op, method, doc) {
			t.Errorf("the doc comment of %s %s", op.Name, flaw)
		}
	}
}

// flaws returns what is wrong with the doc comment of op's method.
func flaws(op *operation.Operation, method, doc string) (found []string) {
	// A link definition is not shown, so the title has to be in the text too.
	var text, definitions []string
	for line := range strings.SplitSeq(doc, "\n") {
		if strings.HasPrefix(line, "[") && strings.Contains(line, "]: ") {
			definitions = append(definitions, line)
		} else {
			text = append(text, line)
		}
	}
	words := strings.Join(strings.Fields(strings.Join(text, " ")), " ")
	if !strings.HasPrefix(words, method+" ") {
		found = append(found, "does not begin with "+method)
	}
	title, _, _ := strings.Cut(op.Title, ", other form")
	title, _, _ = strings.Cut(title, " (")
	lower, name := strings.ToLower(words), strings.ToLower(title)
	if !strings.Contains(lower, `"`+name+`"`) && !strings.Contains(lower, "["+name+"]") {
		found = append(found, `names neither "`+title+`" nor [`+title+`]`)
	}
	defined := func(line string) bool { return strings.HasSuffix(line, "]: "+op.Link()) }
	if op.Page != "" && !slices.ContainsFunc(definitions, defined) {
		found = append(found, "has no line [...]: "+op.Link())
	}
	if op.Inferred() && !strings.Contains(lower, "inferred") {
		found = append(found, "does not say inferred")
	}
	return found
}

func TestFlaws(t *testing.T) {
	t.Parallel()
	op := &operation.Operation{Title: "Set it, other form", Page: "set-it", Source: "I"}
	const definition = "\n\n[Set it]: https://docs.privicore.com/set-it"
	for doc, want := range map[string][]string{
		"Set does it: [Set it], inferred." + definition:       nil,
		"Set does it: \"set\nit\", inferred." + definition:    nil,
		"Sets does it: [Set it], inferred." + definition:      {"does not begin with Set"},
		"Set does it: set it, inferred." + definition:         {`names neither "Set it" nor [Set it]`},
		"Set does it: [Set it]." + definition:                 {"does not say inferred"},
		"Set does it: [Set it], inferred.":                    {"has no line [...]: https://docs.privicore.com/set-it"},
		"Set does it: [Set it], inferred." + definition + "2": {"has no line [...]: https://docs.privicore.com/set-it"},
	} {
		assert.Equal(t, want, flaws(op, "Set", doc), doc)
	}
	assert.Empty(t, flaws(&operation.Operation{Title: "Set it"}, "Set", "Set does it: [Set it]."), "no page")
}

// methodDocs returns the doc comments of the services' methods, by
// Service.Method, and the services that are declared.
func methodDocs(t *testing.T) (docs map[string]string, services map[string]bool) {
	t.Helper()
	docs, services = make(map[string]string), make(map[string]bool)
	files, err := filepath.Glob("../../*.go")
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					if spec, ok := spec.(*ast.TypeSpec); ok {
						if service, ok := strings.CutSuffix(spec.Name.Name, "Service"); ok {
							services[service] = true
						}
					}
				}
			case *ast.FuncDecl:
				if service, ok := receiver(decl); ok {
					docs[service+"."+decl.Name.Name] = decl.Doc.Text()
				}
			}
		}
	}
	return docs, services
}

// receiver returns the service whose method fn is.
func receiver(fn *ast.FuncDecl) (service string, ok bool) {
	if fn.Recv == nil {
		return "", false
	}
	pointer, ok := fn.Recv.List[0].Type.(*ast.StarExpr)
	if !ok {
		return "", false
	}
	name, ok := pointer.X.(*ast.Ident)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(name.Name, "Service")
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, fs.ErrPermission }

func TestWriteCoverage(t *testing.T) {
	t.Parallel()
	var table bytes.Buffer
	require.NoError(t, operation.WriteCoverage(&table))
	for _, line := range []string{
		"70 operations in 10 sections, 9 of them inferred",
		"| [Retrieve unique identifier](https://docs.privicore.com/retrieve-unique-identifier-14411445e0) | `Device.RetrieveIdentifier` | `POST /device/retrieve-unique-identifier` | token | form | value | yes | S |",
		"| [Remove device](https://docs.privicore.com/remove-device-14411451e0) | `Device.Remove` | `POST /device/remove` | token | form | command, no body | no | S |",
		"| [Set quorum size](https://docs.privicore.com/set-quorum-size-14411459e0) | `VerifiedAuthenticator.SetQuorumSize` | `POST /verified-authenticator/set-quorum-size` | token | form | command | no | **I**, inferred |",
		"| [Download data](https://docs.privicore.com/download-data-14411438e0) | `DataToken.Download` | `GET {URL of an earlier answer}` | query | nothing | value | no | D |",
	} {
		assert.Contains(t, table.String(), line)
	}
	for line := range strings.SplitSeq(table.String(), "\n") {
		if strings.HasPrefix(line, "| ") && strings.Contains(line, "`") {
			assert.Equal(t, 9, strings.Count(line, "|"), line)
		}
	}
	assert.ErrorIs(t, operation.WriteCoverage(failingWriter{}), fs.ErrPermission)
}
