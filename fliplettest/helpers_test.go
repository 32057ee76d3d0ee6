package fliplettest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// room is a server with contacts a and b and one conversation of theirs.
type room struct {
	*fliplettest.Server
	t                      testing.TB
	token                  string // that requests show
	contacts, conversation int64
}

type m = datasource.M

func open(t testing.TB, opts ...fliplettest.Option) *room {
	s := fliplettest.New(t, opts...)
	contacts, _ := s.AddContacts(m{"flUserId": "a", "flUserToken": "ta"}, m{"flUserId": "b", "flUserToken": "tb"})
	conversation := s.AddDataSource(m{
		"name": "Talk", "type": "conversation", "definition": m{"participants": []any{"a", "b"}},
		"hooks": []any{m{"runOn": []any{"insert"}, "type": "push-message", "appId": 1}},
	})
	return &room{Server: s, t: t, token: s.Token, contacts: contacts, conversation: conversation}
}

// reply is an answer, or the error instead of one.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

func (r *room) do(method, path, body string) reply { return r.doCtx(r.t.Context(), method, path, body) }

func (r *room) doCtx(ctx context.Context, method, path, body string) reply {
	req, err := http.NewRequestWithContext(ctx, method, r.URL+path, strings.NewReader(body))
	require.NoError(r.t, err)
	req.Header.Set("Auth-token", r.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := r.Transport().RoundTrip(req)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(text), err}
}

func (r *room) send(body string) reply {
	return r.do("PUT", "/v1/data-sources/Talk/data", body)
}

func (r *room) poll(more string) reply {
	return r.do("POST", "/v1/data-sources/data", `{"flUserToken":"ta"`+more+`}`)
}

// ids are the ids of the entries of an answer.
func (r reply) ids(t testing.TB) []int64 {
	t.Helper()
	require.NoError(t, r.err)
	require.Equal(t, 200, r.status, r.body)
	var page struct{ Entries []struct{ ID int64 } }
	require.NoError(t, json.Unmarshal([]byte(r.body), &page), r.body)
	out := []int64{}
	for _, e := range page.Entries {
		out = append(out, e.ID)
	}
	return out
}
