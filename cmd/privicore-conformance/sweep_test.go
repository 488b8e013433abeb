package main

import (
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/privicore/privicore-go/internal/operation"
	"github.com/privicore/privicore-go/privicoretest"
)

// onREST returns the operations of the REST server that fulfil a condition.
func onREST(condition func(st *step) bool) []*operation.Operation {
	var ops []*operation.Operation
	for i := range plan {
		if op := plan[i].op; !op.OnFileServer() && condition(&plan[i]) {
			ops = append(ops, op)
		}
	}
	return ops
}

func each(*step) bool { return true }

// together runs the program with many differences at once.
func together(t *testing.T, plants []plant, judge func(t *testing.T, o *outcome)) {
	for name, dialect := range dialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, dialect, plants...)
				o := conformance(t.Context(), r.settings())
				assert.Equal(t, exitDiffers, o.code, o.progress)
				judge(t, o)
			})
		})
	}
}

// all checks that all operations of the REST server differ and no other does.
func all(t *testing.T, o *outcome) {
	for _, op := range operation.All {
		want := differs
		if op.OnFileServer() {
			want = confirmed
		}
		assert.Equal(t, want, o.verdicts[op.Name], o.entries[op.Name])
	}
	assert.Equal(t, "confirmed 2 of 70", o.last())
}

// A client reads an answer with another status of the same class.
func TestAnotherStatusIsFoundEverywhere(t *testing.T) {
	t.Parallel()
	var plants []plant
	for _, op := range onREST(each) {
		plants = append(plants, answering(op, func(a *httptest.ResponseRecorder) {
			if a.Code < 300 {
				a.Code = 203
			}
		}))
	}
	together(t, plants, all)
}

// A client follows a redirect of the same server.
func TestARedirectIsFoundEverywhere(t *testing.T) {
	t.Parallel()
	together(t, []plant{redirecting(307, onREST(each)...)}, all)
}

func refusal(op *operation.Operation) plant {
	return refusing(op, 403, "application/json", `{"message":"No."}`)
}

// unreached checks that operations are not reachable because they need others.
func unreached(t *testing.T, o *outcome, names []string) {
	for _, name := range names {
		assert.Equal(t, notReachable, o.verdicts[name], o.entries[name])
		assert.Contains(t, o.entries[name], "needs ")
	}
}

// What depends on an operation that is refused is not reachable, and the rest is
// confirmed.
func TestARefusalOfWhatOthersNeed(t *testing.T) {
	t.Parallel()
	for i, op := range onREST(func(st *step) bool { return len(st.leaves) > 0 }) {
		t.Run(op.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, []privicoretest.Dialect{privicoretest.Documented, privicoretest.Observed}[i%2], refusal(op))
				o := conformance(t.Context(), r.settings())
				assert.Equal(t, exitDiffers, o.code, o.progress)
				assert.Equal(t, differs, o.verdicts[op.Name], o.entries[op.Name])
				wrong := o.wrong()
				unreached(t, o, slices.DeleteFunc(wrong, func(name string) bool { return name == op.Name }))
			})
		})
	}
}

func TestARefusalOfTheRest(t *testing.T) {
	t.Parallel()
	// The registration of a profile is polled, so what needs that profile is not
	// reachable. A policy that cannot be retrieved cannot be deleted.
	ops := onREST(func(st *step) bool {
		return len(st.leaves) == 0 && st.only&destructive == 0 && st.op != operation.PolicyDelete
	})
	var plants []plant
	for _, op := range ops {
		plants = append(plants, refusal(op))
	}
	together(t, plants, func(t *testing.T, o *outcome) {
		for _, op := range ops {
			assert.Equal(t, differs, o.verdicts[op.Name], o.entries[op.Name])
		}
		wrong := o.wrong()
		unreached(t, o, slices.DeleteFunc(wrong, func(name string) bool { return o.verdicts[name] == differs }))
	})
}
