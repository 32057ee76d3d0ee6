package flipletd_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// These tests hold what nobody has published, so that a change of mind shows.

func TestVersionsOfSourcesWithoutATypeOnly(t *testing.T) {
	t.Parallel()
	k := start(t)
	plain := k.source(m{"entries": []any{m{"n": 0}}})
	talk := k.source(m{"type": "conversation"})
	for i := range 25 {
		for _, source := range []int64{plain, talk} {
			k.do("POST", fmt.Sprintf("/v1/data-sources/%d/commit", source), fmt.Sprintf(`{"append":true,"entries":[{"data":{"n":%d}}]}`, i)).ok(200)
		}
	}
	versions := func(source int64) []any {
		return k.do("GET", fmt.Sprintf("/v1/data-sources/%d/versions", source), "").ok(200)["versions"].([]any)
	}
	assert.Empty(t, versions(talk), "each read mark would be one")
	kept := versions(plain)
	assert.Len(t, kept, 20)
	assert.Equal(t, m{"count": 25.0, "key": nil}, kept[0].(m)["data"].(m)["entries"], "the newest are kept")
}

func TestTextSortsByBytes(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{"entries": []any{m{"v": "é"}, m{"v": "b"}, m{"v": "B"}, m{"v": "a"}, m{"v": "z"}}})
	assert.Equal(t, []int64{5003, 5004, 5002, 5005, 5001},
		k.do("POST", "/v1/data-sources/101/data/query", `{"order":[["data.v","ASC"]]}`).ids())
}

func TestHashIsSHA256(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{"hooks": []any{m{"type": "operations", "runOn": []any{"insert"}, "payload": m{"Password": []any{"trim", "hash"}}}}})
	row := k.do("PUT", "/v1/data-sources/101/data", `{"Password":" secret "}`).ok(200)
	sum := sha256.Sum256([]byte("secret"))
	assert.Equal(t, hex.EncodeToString(sum[:]), row["data"].(m)["Password"], "the answer shows what hooks have made of the row")
}

func TestMediaAlwaysNeedsAToken(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.form("POST", "/v1/media/files", part{name: "files[0]", file: "a.png", content: "x"}).ok(201)
	for _, by := range []*kit{k.as(""), k.as("eu--nobody")} {
		by.do("GET", "/v1/media/files/901/contents/a.png", "").refused(401)
	}
	assert.Equal(t, "x", k.do("GET", "/v1/media/files/901/contents/a.png", "").body)
	assert.Equal(t, "x", k.do("GET", "/v1/media/files/901/contents/any%20name", "").body, "the id decides")
}

func TestTrashNeedsAUserToken(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{})
	app, _, err := k.AddToken(flipletd.AppToken, 1, 0, "")
	assert.NoError(t, err)
	studio := k.studio()
	for _, call := range [][2]string{{"DELETE", "/v1/data-sources/101"}, {"POST", "/v1/data-sources/101/restore"}, {"DELETE", "/v1/data-sources/deleted/101"}} {
		k.do(call[0], call[1], "").refused(400)
		k.as(app).do(call[0], call[1], "").refused(400)
		studio.do("DELETE", "/v1/data-sources/101", "") // so that the next call has something to find
		studio.do(call[0], call[1], "")
	}
	assert.Empty(t, k.Sources(), "the last call was for good")
}

func TestLagKnowsThePastFromItsPullOn(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{"entries": []any{m{"n": 1}}})
	k.do("PUT", "/v1/data-sources/101/data/5001", `{"n":2}`).ok(200)
	k.Pull(flipletd.Rule{Route: flipletd.AnyRead, Faults: []flipletd.Fault{func(fx *flipletd.Effects) { fx.Lag = time.Hour }}})
	n := func() any { return k.do("GET", "/v1/data-sources/101/data/5001", "").ok(200)["data"].(m)["n"] }
	assert.Equal(t, 2.0, n(), "what was before the pull is known in its newest state")
	k.do("PUT", "/v1/data-sources/101/data/5001", `{"n":3}`).ok(200)
	assert.Equal(t, 2.0, n())
}

func TestNestingEndsAtFiveHundredLevels(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{})
	nested := func(levels int) string {
		text := "1"
		for range levels - 1 {
			text = "[" + text + "]"
		}
		return `{"a":` + text + `}`
	}
	k.do("PUT", "/v1/data-sources/101/data", nested(500)).ok(200)
	k.do("PUT", "/v1/data-sources/101/data", nested(501)).refused(400)
	assert.Len(t, k.Rows(101), 1)
}
