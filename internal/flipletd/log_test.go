package flipletd_test

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

func TestLoggerHearsOfRequestsAndErrorsButOfNoSecret(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	j := &journal{records: map[string]flipletd.Record{}}
	s, err := flipletd.New(flipletd.Config{Token: "eu--canary", Journal: j, Logger: slog.New(slog.NewTextHandler(&text, nil))})
	require.NoError(t, err)
	k := &kit{Server: s, t: t, token: "eu--canary"}
	k.source(m{"name": "Talk", "type": "conversation", "definition": m{"encryptionKey": "canary-key"}})
	k.do("PUT", "/v1/data-sources/101/data?flUserToken=canary-chat", `{"body":"canary-body"}`).refused(403)
	k.do("PUT", "/v1/data-sources/101/data?auth_token=eu--canary", `{"body":"canary-body"}`).ok(200)
	j.fail = errors.New("the disk is full")
	k.do("PUT", "/v1/data-sources/101/data/5001", `{"body":"canary-body"}`).refused(500)
	assert.Contains(t, text.String(), `msg=request method=PUT path=/v1/data-sources/101/data query="flUserToken=…" bytes=22 status=403`)
	assert.Contains(t, text.String(), `level=ERROR msg="the server failed" error="the disk is full"`)
	assert.NotContains(t, text.String(), "canary")
}

func TestLastRequests(t *testing.T) {
	t.Parallel()
	k := start(t)
	for _, path := range []string{"/v1/a", "/v1/b", "/v1/c"} {
		k.do("GET", path, "")
	}
	last := k.LastRequests(2)
	require.Len(t, last, 2)
	assert.Equal(t, []string{"/v1/b", "/v1/c"}, []string{last[0].Path, last[1].Path})
	assert.Len(t, k.LastRequests(10), 3)
	assert.Empty(t, k.LastRequests(-1))
}

func TestEachRowStopsWhenAsked(t *testing.T) {
	t.Parallel()
	k := start(t)
	source := k.source(m{"entries": []any{m{"n": 1}, m{"n": 2}, m{"n": 3}}})
	var seen []int64
	for row := range k.EachRow(source) {
		k.put(source, m{"n": 4}) // the loop holds no lock, and sees what was there
		if seen = append(seen, row.ID); len(seen) == 2 {
			break
		}
	}
	assert.Equal(t, []int64{5001, 5002}, seen)
	for range k.EachRow(77) {
		t.Error("a source that does not exist has rows")
	}
}
