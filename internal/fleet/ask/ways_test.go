package ask_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/fleet/ask"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// crossing is a local Fliplet with a contact in all conversations, and a source that reads tokens.
type crossing struct {
	*fliplettest.Server
	*ask.Source
	rooms []int64
	user  int32
	asked atomic.Int64 // for tokens
}

func newCrossing(t *testing.T, change ...func(*ask.Config)) *crossing {
	t.Helper()
	x := &crossing{Server: fliplettest.New(t, fliplettest.InProcess())}
	contacts, _ := x.AddContacts(datasource.M{"Email": "a@x", "flUserId": "ann", "flUserToken": "old"})
	for i := range 5 {
		x.rooms = append(x.rooms, x.AddDataSource(datasource.M{"name": fmt.Sprint("r", i), "type": "conversation", "definition": datasource.M{"participants": []string{"ann"}}}))
	}
	read := ask.TokenOf(x.Client(), contacts)
	cfg := ask.Config{Client: x.Client(), Apps: []int64{x.AppID}, Log: slog.New(slog.DiscardHandler), Token: func(ctx context.Context, id string) (string, error) {
		x.asked.Add(1)
		return read(ctx, id)
	}}
	for _, fn := range change {
		fn(&cfg)
	}
	x.Source = ask.New(cfg)
	x.user = x.User("ann")
	return x
}

func (x *crossing) across(t *testing.T, after feed.Key, limit int) (fleet.Answer, error) {
	return x.Ask(t.Context(), fleet.Request{Kind: fleet.Across, User: x.user, After: after, Limit: limit})
}

func TestAQueryAcrossHasTheChangesOfAUsersConversationsAndTheDeletedOnes(t *testing.T) {
	t.Parallel()
	x := newCrossing(t)
	before := feed.Key{Time: rows.Micros(x.Now()) - 1e6, ID: 1 << 62}
	var ids []int64
	for _, room := range x.rooms {
		ids = append(ids, x.AddRows(room, datasource.M{"body": "x"})[0])
	}
	require.NoError(t, x.Client().Delete(t.Context(), x.rooms[2], ids[2]))
	a, err := x.across(t, before, 200)
	require.NoError(t, err)
	require.Len(t, a.Rows, 5)
	assert.False(t, a.Full)
	for _, row := range a.Rows {
		assert.Equal(t, row.ID == ids[2], row.Deleted)
	}
	a, err = x.across(t, before, 2)
	require.NoError(t, err)
	assert.True(t, a.Full)
	assert.EqualValues(t, 1, x.asked.Load(), "the token is read once")
}

// The server may ignore what it is asked, and answer with anything.
func TestAQueryAcrossThatIsAnsweredOtherwiseIsRefused(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fliplettest.Fault{
		"it does not say whose rows they are": fliplettest.OmitFields("dataSourceId"),
		"nor when they were changed":          fliplettest.OmitFields("updatedAt"),
		"null":                                fliplettest.NullFields("updatedAt"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newCrossing(t)
			for _, room := range x.rooms {
				x.AddRows(room, datasource.M{"body": "x"})
			}
			x.Always(fliplettest.CrossSource, fault)
			_, err := x.across(t, feed.Key{}, 200)
			require.ErrorIs(t, err, ask.ErrAcross)
			assert.Equal(t, fleet.Failure{Refused: true}, ask.Judge(err))
		})
	}
	t.Run("rows in no order make it ask for all of them", func(t *testing.T) {
		t.Parallel()
		x := newCrossing(t)
		for range 6 {
			for _, room := range x.rooms {
				x.AddRows(room, datasource.M{"body": "x"})
				time.Sleep(time.Millisecond)
			}
		}
		x.Always(fliplettest.CrossSource, fliplettest.Reverse())
		a, err := x.across(t, feed.Key{}, 4)
		require.NoError(t, err)
		assert.False(t, a.Full)
		assert.Len(t, a.Rows, 30)
	})
}

func TestAUsersTokenThatIsNotTakenIsReadAgain(t *testing.T) {
	t.Parallel()
	x := newCrossing(t)
	_, err := x.across(t, feed.Key{}, 200)
	require.NoError(t, err)
	x.Next(1, fliplettest.CrossSource, fliplettest.RefuseChatToken())
	_, err = x.across(t, feed.Key{}, 200)
	require.NoError(t, err, "it was replaced meanwhile")
	assert.EqualValues(t, 2, x.asked.Load())
	lever := x.Always(fliplettest.CrossSource, fliplettest.RefuseChatToken())
	_, err = x.across(t, feed.Key{}, 200)
	require.ErrorIs(t, err, ask.ErrToken)
	assert.Equal(t, fleet.Failure{Refused: true, User: true}, ask.Judge(err))
	assert.NotContains(t, err.Error(), "old")
	assert.LessOrEqual(t, lever.Hits(), 2)
	_, err = x.Ask(t.Context(), fleet.Request{Kind: fleet.Across, User: x.User("nobody"), Limit: 200})
	require.ErrorIs(t, err, ask.ErrToken)
	none := newCrossing(t, func(c *ask.Config) { c.Token = nil })
	_, err = none.across(t, feed.Key{}, 200)
	require.ErrorIs(t, err, ask.ErrToken)
}

func TestTheAuditLogIsReadForTheOrganizationOfTheConversations(t *testing.T) {
	t.Parallel()
	for name, listed := range map[string]bool{"as the list says": true, "as that of the token's, where the list does not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := fliplettest.New(t, fliplettest.InProcess())
			token, _ := srv.AddToken(fliplettest.OrganizationToken)
			room := rooms(srv, 1)[0]
			if !listed {
				srv.Always(fliplettest.ListSources, fliplettest.NullFields("organizationId"))
			}
			s := ask.New(ask.Config{Client: srv.ClientFor(token), Apps: []int64{srv.AppID}, Log: slog.New(slog.DiscardHandler)})
			_, err := s.Ask(t.Context(), fleet.Request{Kind: fleet.List, Users: true})
			require.NoError(t, err)
			id := srv.AddRows(room, datasource.M{"body": "secret"})[0]
			require.NoError(t, srv.Client().Delete(t.Context(), room, id))
			before := len(srv.Requests())
			a, err := s.Ask(t.Context(), fleet.Request{Kind: fleet.Audit, Since: rows.Micros(srv.Now()) - 60e6, Limit: 500})
			require.NoError(t, err)
			assert.Equal(t, map[bool]int{true: 1, false: 2}[listed], len(srv.Requests())-before)
			var made, gone bool
			for _, m := range a.Marks {
				if m.Conversation == room {
					made, gone = made || !m.Deleted, gone || m.Deleted
				}
			}
			assert.True(t, made && gone)
			a, err = s.Ask(t.Context(), fleet.Request{Kind: fleet.Audit, Since: rows.Micros(srv.Now()) - 60e6, Limit: 1})
			require.NoError(t, err)
			assert.True(t, a.Full)
			assert.Len(t, a.Marks, 1)
			a, err = s.Ask(t.Context(), fleet.Request{Kind: fleet.Audit, Since: rows.Micros(srv.Now()) + 60e6, Limit: 500})
			require.NoError(t, err)
			assert.Empty(t, a.Marks)
		})
	}
}

// Whatever the log answers, it is an answer or an error, and only what is refused is given up at once.
func TestAnAuditLogThatAnswersAnythingIsNoHarm(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		`{"logs":[]}`: 0, `{"logs":[null,7,"x",[],{},{"id":"x"}]}`: 0,
		`{"logs":[{"id":9,"type":"dataSource.entry.create","createdAt":"9999-12-31T23:59:59.000Z","dataSourceId":5},{"id":3,"type":"dataSource.entry.create","createdAt":null,"dataSourceId":4}]}`: 2,
		`{"logs":null}`: -1, `{}`: -1, `[]`: -1, `null`: -1, `"logs"`: -1, ``: -1, `{"logs":"x"}`: -1,
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := fliplettest.New(t, fliplettest.InProcess())
				token, _ := srv.AddToken(fliplettest.OrganizationToken)
				rooms(srv, 1)
				srv.Always(fliplettest.GetLogs, fliplettest.Answer(http.StatusOK, body))
				s := ask.New(ask.Config{Client: srv.ClientFor(token), Apps: []int64{srv.AppID}, Log: slog.New(slog.DiscardHandler)})
				_, err := s.Ask(t.Context(), fleet.Request{Kind: fleet.List, Users: true})
				require.NoError(t, err)
				a, err := s.Ask(t.Context(), fleet.Request{Kind: fleet.Audit, Since: 1, Limit: 500})
				if want < 0 {
					require.ErrorIs(t, err, ask.ErrAudit)
					assert.True(t, ask.Judge(err).Refused)
					return
				}
				require.NoError(t, err)
				assert.Len(t, a.Marks, want)
			})
		})
	}
	assert.True(t, ask.Aside(fleet.Request{Kind: fleet.Audit}, errors.New("x")))
	assert.False(t, ask.Aside(fleet.Request{Kind: fleet.Look}, ask.ErrJoins))
	assert.False(t, ask.Aside(fleet.Request{Kind: fleet.Across}, errors.New("x")), "the server may be down")
	assert.True(t, ask.Aside(fleet.Request{Kind: fleet.Across}, ask.ErrToken))
}
