package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	_, err := run(t.Context(), &out)
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^privicore_client_operation_duration_seconds_count\{.*privicore_operation="Device\.Approve".*\} 1$`, out.String())
	assert.Regexp(t, `(?m)^privicore_client_wait_duration_seconds_count\{.*privicore_outcome="succeeded".*\} 1$`, out.String())
}
