package rows_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// bench is a server with a user, two conversations of theirs, and what reads them.
type bench struct {
	*fliplettest.Server
	one, two int64
	log      bytes.Buffer
	cfg      rows.Config
}

func newBench(t *testing.T) *bench {
	b := &bench{Server: fliplettest.New(t, fliplettest.InProcess())}
	b.AddContacts(datasource.M{"flUserId": "u-jane", "flUserToken": "t-jane"})
	for _, id := range []*int64{&b.one, &b.two} {
		*id = b.AddDataSource(datasource.M{"name": "Talk", "type": "conversation", "definition": datasource.M{"participants": []string{"u-jane", "u-bob"}}})
	}
	b.cfg = rows.Config{
		Client: b.Client(), Endpoint: &rows.Endpoint{}, UserID: "u-jane", PageSize: 10, Log: slog.New(slog.NewTextHandler(&b.log, nil)),
		Host:   host(func(context.Context) ([]rows.Member, error) { return []rows.Member{{ID: b.one}, {ID: b.two}}, nil }),
		Roster: strangers(nil),
	}
	return b
}

// host is Jane's, and reads the list of conversations.
type host func(context.Context) ([]rows.Member, error)

func (host) Authorized(_ context.Context, fn func(string) error) error { return fn("t-jane") }
func (h host) Members(ctx context.Context) ([]rows.Member, error)      { return h(ctx) }
func (host) Beside(read func()) bool                                   { go read(); return true }
func (host) Found()                                                    {}

// strangers are a roster that says whose rows the user must not see.
type strangers func(ids []int64) (map[int64]bool, error)

func (f strangers) Foreign(_ context.Context, ids []int64) (map[int64]bool, error) {
	if f == nil {
		return nil, nil
	}
	return f(ids)
}

func (strangers) Unsure(int64) bool                { return false }
func (strangers) Unanswered(int64) error           { return nil }
func (strangers) Gone(context.Context, int64) bool { return false }

// say stores messages in one step, all of one timestamp.
func (b *bench) say(conversation int64, from, n int) {
	list := make([]datasource.M, n)
	for i := range list {
		list[i] = datasource.M{"body": fmt.Sprint(from + i), "n": from + i, "readBy": []string{"u-bob"}}
	}
	b.AddRows(conversation, list...)
}

func ids(list []datasource.Entry) []int64 {
	out := []int64{}
	for _, e := range list {
		out = append(out, e.ID)
	}
	return out
}

func TestEveryQuestionHasOneAnswerWithAndWithoutTheEndpoint(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.say(b.one, 0, 25)
	b.say(b.two, 25, 25)
	with := rows.New(b.cfg)
	b.cfg.Endpoint = &rows.Endpoint{}
	without := rows.New(b.cfg)
	questions := map[string]func(*rows.Source) ([]datasource.Entry, error){
		"newest": func(s *rows.Source) ([]datasource.Entry, error) { return s.Search(t.Context(), rows.Search{Limit: 15}) },
		"condition": func(s *rows.Source) ([]datasource.Entry, error) {
			return s.Search(t.Context(), rows.Search{Where: datasource.M{"data.n": datasource.M{"$lt": 30}}, Limit: 20, Offset: 3})
		},
		"one conversation": func(s *rows.Source) ([]datasource.Entry, error) {
			return s.Search(t.Context(), rows.Search{Conversations: []int64{b.one}, Limit: 100})
		},
		"sorted": func(s *rows.Source) ([]datasource.Entry, error) {
			return s.Search(t.Context(), rows.Search{Order: []datasource.Order{{Column: "data.n", Direction: datasource.Desc}}, Limit: 7, Offset: 2})
		},
		"unread": func(s *rows.Source) ([]datasource.Entry, error) { return s.Unread(t.Context(), 1000) },
		"older": func(s *rows.Source) ([]datasource.Entry, error) {
			first, err := s.Older(t.Context(), b.one, feed.Key{}, 10)
			if err != nil {
				return nil, err
			}
			second, err := s.Older(t.Context(), b.one, first.Next, 10)
			return append(first.Rows, second.Rows...), err
		},
		"changes": func(s *rows.Source) ([]datasource.Entry, error) {
			got, err := s.Answer(t.Context(), feed.Query{Kind: feed.Changes, Limit: 30})
			return got.Shown, err
		},
		"changes of one conversation": func(s *rows.Source) ([]datasource.Entry, error) {
			got, err := s.Answer(t.Context(), feed.Query{Kind: feed.Changes, Conversation: b.two, Limit: 30})
			return got.Shown, err
		},
		"what is new in one conversation": func(s *rows.Source) ([]datasource.Entry, error) {
			got, err := s.Answer(t.Context(), feed.Query{Kind: feed.Created, Conversation: b.two, Limit: 30})
			return got.Shown, err
		},
		"the last change of one conversation": func(s *rows.Source) ([]datasource.Entry, error) {
			got, err := s.Answer(t.Context(), feed.Query{Kind: feed.Latest, Conversation: b.one, Limit: 1})
			return got.Shown, err
		},
		"found": func(s *rows.Source) ([]datasource.Entry, error) {
			found, err := s.Find(t.Context(), b.two, datasource.Query{Order: []datasource.Order{{Column: "id"}}, Limit: 5, Offset: 5})
			return found.Entries, err
		},
	}
	only := map[string]int64{
		"changes of one conversation": b.two, "what is new in one conversation": b.two, "the last change of one conversation": b.one,
	}
	want := map[string][]int64{}
	for name, ask := range questions {
		got, err := ask(with)
		require.NoError(t, err, name)
		require.NotEmpty(t, got, name)
		for _, e := range got {
			if c := only[name]; c != 0 {
				assert.Equal(t, c, e.DataSourceID, name)
			}
		}
		want[name] = ids(got)
	}
	n, err := with.CountUnread(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 50, n)
	b.Always(fliplettest.CrossSource, fliplettest.Status(404))
	for name, ask := range questions {
		got, err := ask(without)
		require.NoError(t, err, name)
		assert.Equal(t, want[name], ids(got), name)
	}
	n, err = without.CountUnread(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 50, n)
}

func TestARefusalOfTheCallersQueryIsNotTakenForAnAbsentEndpoint(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.say(b.one, 0, 1)
	s := rows.New(b.cfg)
	bad := rows.Search{Where: datasource.M{"createdAt": datasource.M{"$foo": 1}}, Limit: 1}
	_, err := s.Search(t.Context(), bad)
	var refused *datasource.Error
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, 2, b.Count(fliplettest.CrossSource), "the query, and one of ours that decides")
	assert.Empty(t, b.log.String())

	// A server that refuses ours as well has no such endpoint, which is learnt once.
	b.Always(fliplettest.CrossSource, fliplettest.Status(400))
	for range 2 {
		_, err = s.Search(t.Context(), bad)
		var condition *rows.ConditionError
		require.ErrorAs(t, err, &condition)
		assert.ErrorContains(t, err, "createdAt $foo")
	}
	assert.Equal(t, 4, b.Count(fliplettest.CrossSource))
	assert.Equal(t, 1, strings.Count(b.log.String(), "asking for each"))

	// Sources of one client share what was learnt.
	got, err := rows.New(b.cfg).Search(t.Context(), rows.Search{Limit: 1})
	require.NoError(t, err)
	assert.Len(t, got, 1)
	assert.Equal(t, 4, b.Count(fliplettest.CrossSource))
}

func TestAConditionThatIsNoJSONIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := rows.New(b.cfg).Search(t.Context(), rows.Search{Where: datasource.M{"id": func() {}}, Limit: 1})
	var condition *rows.ConditionError
	require.ErrorAs(t, err, &condition)
	assert.Zero(t, b.Count(fliplettest.CrossSource))
}

func TestADeletionWithoutATimeIsDatedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.say(b.one, 0, 3)
	b.Always(fliplettest.CrossSource, fliplettest.Status(404))
	s := rows.New(b.cfg)
	changes := func(after feed.Key) []datasource.Entry {
		answer, err := s.Answer(t.Context(), feed.Query{Kind: feed.Changes, After: after, Limit: 10})
		got := answer.Shown
		require.NoError(t, err)
		return got
	}
	live := changes(feed.Key{})
	require.Len(t, live, 3)
	last := rows.Micros(live[2].UpdatedAt)
	b.ShiftClock(time.Second)
	require.NoError(t, b.Client().Delete(t.Context(), b.one, live[0].ID))
	lever := b.Always(fliplettest.Query, fliplettest.OmitFields("updatedAt", "createdAt", "deletedAt", "dataSourceId"))
	defer lever.Off()
	first := changes(feed.Key{Time: last, ID: live[2].ID})
	require.Len(t, first, 1)
	assert.Equal(t, live[0].ID, first[0].ID)
	assert.Equal(t, b.one, first[0].DataSourceID)
	assert.NotNil(t, first[0].DeletedAt)
	assert.Equal(t, last+1, rows.Micros(first[0].UpdatedAt), "just behind what was read")
	assert.Empty(t, changes(feed.Key{Time: last + 1, ID: live[0].ID}), "read on, it does not come again")
}

func TestOneFailureFailsTheWhole(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.say(b.one, 0, 1)
	b.Always(fliplettest.CrossSource, fliplettest.Status(405))
	s := rows.New(b.cfg)
	_, err := s.Unread(t.Context(), 1000)
	require.NoError(t, err)
	b.After(1, 1, fliplettest.Query, fliplettest.Status(409))
	_, err = s.Unread(t.Context(), 1000)
	require.Error(t, err, "rather than a part goes missing")

	gone := errors.New("no list")
	b.cfg.Host = host(func(context.Context) ([]rows.Member, error) { return nil, gone })
	_, err = rows.New(b.cfg).Unread(t.Context(), 1000)
	require.ErrorIs(t, err, gone)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Unread(ctx, 1000)
	require.ErrorIs(t, err, context.Canceled)
}

func TestALimitHoldsOnAServerThatIgnoresLimitsAndConditions(t *testing.T) {
	t.Parallel()
	for _, ignored := range [][]string{{"limit"}, {"where"}, {"limit", "where"}} {
		b := newBench(t)
		for i := range 12 {
			b.say(b.one, 10*i, 10)
		}
		b.Always(fliplettest.CrossSource, fliplettest.Ignore(ignored...))
		s := rows.New(b.cfg)
		unread, err := s.Unread(t.Context(), 25)
		require.NoError(t, err)
		require.Len(t, unread, 25, ignored)
		assert.JSONEq(t, "119", fmt.Sprint(unread[0].Data["n"]), "the newest")
		assert.JSONEq(t, "95", fmt.Sprint(unread[24].Data["n"]))
	}
}
