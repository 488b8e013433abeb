package privicore_test

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/privicore/privicore-go"
	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/privicoretest"
)

// workflows are the methods of services that are no operations: they combine
// several.
var workflows = []string{
	"Profile.Provision", "Device.Onboard",
	"OAuth.Authorize", "OAuth.TokenSource", "OAuth.CachedTokenSource",
	"DataToken.All", "DataToken.Store", "DataToken.Retrieve",
	"DataToken.StoreAll", "DataToken.RetrieveAll", "DataToken.DeleteAll",
	"DataToken.StoreFile", "DataToken.RetrieveFile",
	"Policy.Gate", "Voting.Watch",
}

// sharedRecordings are the directories of testdata that belong to no service.
var sharedRecordings = []string{"commands", "errors", "no_command_id", "unreadable"}

// services are the service fields of the Client.
func services() map[string]reflect.Type {
	found := make(map[string]reflect.Type)
	for field := range reflect.TypeFor[privicore.Client]().Fields() {
		if field.IsExported() && strings.HasSuffix(field.Type.String(), field.Name+"Service") {
			found[field.Name] = field.Type
		}
	}
	return found
}

func TestCoverageServices(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, op := range operation.All {
		if service, _, _ := strings.Cut(op.Name, "."); !slices.Contains(listed, service) {
			listed = append(listed, service)
		}
	}
	assert.ElementsMatch(t, listed, slices.Collect(maps.Keys(services())), "services in the table, and in the Client")
}

func TestCoverageMethods(t *testing.T) {
	t.Parallel()
	have := services()
	var known []string
	for _, op := range operation.All {
		service, name, _ := strings.Cut(op.Name, ".")
		known = append(known, op.Name)
		typ, ok := have[service]
		if !assert.True(t, ok, "%s has no service", op.Name) {
			continue
		}
		method, ok := typ.MethodByName(name)
		if !assert.True(t, ok, "%s has no method", op.Name) {
			continue
		}
		require.GreaterOrEqual(t, method.Type.NumIn(), 2, op.Name)
		assert.Equal(t, reflect.TypeFor[context.Context](), method.Type.In(1), "%s takes the context first", op.Name)
	}
	var found []string
	for service, typ := range have {
		for method := range typ.Methods() {
			found = append(found, service+"."+method.Name)
		}
	}
	for _, name := range found {
		assert.True(t, slices.Contains(known, name) || slices.Contains(workflows, name),
			"%s is neither in the table nor a workflow", name)
	}
	for _, name := range workflows {
		assert.Contains(t, found, name, "a workflow that does not exist")
		assert.NotContains(t, known, name, "an operation is no workflow")
	}
}

func TestCoverageSandbox(t *testing.T) {
	t.Parallel()
	served := privicoretest.Operations()
	for _, op := range operation.All {
		assert.Contains(t, served, op.Name, "the sandbox does not serve it")
	}
}

func TestCoverageWire(t *testing.T) {
	t.Parallel()
	tested := make(map[string]bool)
	for _, call := range calls {
		tested[call.operation] = true
	}
	for _, op := range operation.All {
		assert.True(t, tested[op.Name], "%s is not in a table of calls", op.Name)
		delete(tested, op.Name)
	}
	assert.Empty(t, tested, "calls of operations that do not exist")
}

// Every operation has recorded answers, and a success of the kind that the
// table says; every recorded answer belongs to an operation and can be read.
func TestCoverageRecordings(t *testing.T) {
	t.Parallel()
	stems := make(map[string]bool)
	for _, op := range operation.All {
		stems[op.Fixture()] = true
	}
	for _, op := range operation.All {
		assert.True(t, hasSuccess(t, op), "testdata/%s.*.http has no success as the table says: %s", op.Fixture(), op.Answer)
	}
	files, err := filepath.Glob("testdata/*/*.http")
	require.NoError(t, err)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.ToSlash(strings.TrimPrefix(file, "testdata"+string(filepath.Separator))), ".http")
		parsed(t, name)
		dir, _, _ := strings.Cut(name, "/")
		stem, _, _ := strings.Cut(name, ".")
		assert.True(t, stems[stem] || slices.Contains(sharedRecordings, dir), "%s belongs to no operation", file)
	}
}

func hasSuccess(t *testing.T, op *operation.Operation) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", filepath.FromSlash(op.Fixture())+".*.http"))
	require.NoError(t, err)
	return slices.ContainsFunc(files, func(file string) bool {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(file), "testdata/"), ".http")
		resp, body := parsed(t, name)
		switch op.Answer {
		case operation.Value:
			return resp.StatusCode == http.StatusOK && len(body) > 0
		case operation.Command:
			return resp.StatusCode == http.StatusAccepted
		case operation.BareID:
			return resp.StatusCode == http.StatusAccepted && len(body) == 0 && resp.Header.Get("X-DPT-CAB-ID") != ""
		case operation.Either:
			return resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusAccepted
		default:
			return resp.StatusCode >= 200 && resp.StatusCode <= 299
		}
	})
}

func TestCoverageDocument(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	require.NoError(t, operation.WriteCoverage(&want))
	have, err := os.ReadFile("docs/coverage.md")
	require.NoError(t, err)
	assert.Equal(t, want.String(), string(have), `run "go generate ./..."`)
	for _, op := range operation.All {
		assert.Contains(t, string(have), "`"+op.Name+"`")
	}
	for _, titles := range operation.Unreachable {
		for _, title := range titles {
			assert.Contains(t, string(have), "- "+title+"\n")
		}
	}
}
