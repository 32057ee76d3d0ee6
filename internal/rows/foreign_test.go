package rows_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

func TestNoRowOfAForeignConversationLeavesTheRoom(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 12 {
		b.say(b.one, 0, 3)
		b.say(b.two, 100, 5)
	}
	b.cfg.Foreign = func(_ context.Context, ids []int64) (map[int64]bool, error) {
		return map[int64]bool{b.two: true}, nil
	}
	s := rows.New(b.cfg)
	own := func(list []datasource.Entry, n int) {
		t.Helper()
		assert.Len(t, list, n)
		for _, e := range list {
			assert.Equal(t, b.one, e.DataSourceID)
		}
	}
	for _, q := range []rows.Search{{Limit: 100}, {Limit: 100, Order: []datasource.Order{{Column: "id"}}}, {Limit: 100, Conversations: []int64{b.one, b.two}}} {
		found, err := s.Search(t.Context(), q)
		require.NoError(t, err)
		own(found, 36)
	}
	found, err := s.Search(t.Context(), rows.Search{Limit: 10, Offset: 3, Order: []datasource.Order{{Column: "id"}}})
	require.NoError(t, err)
	own(found, 10)
	unread, err := s.Unread(t.Context(), 1000)
	require.NoError(t, err)
	own(unread, 36)
	n, err := s.CountUnread(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 36, n)
	page, err := s.Older(t.Context(), b.two, feed.Key{}, 10)
	require.NoError(t, err)
	own(page.Rows, 0)

	all, shown, _, err := s.Answer(t.Context(), feed.Query{Kind: feed.Changes, Limit: 50})
	require.NoError(t, err)
	assert.Len(t, all, 50, "they keep their place")
	mine := 0
	for _, r := range all {
		if r.Conversation == b.one {
			mine++
			continue
		}
		assert.Equal(t, feed.Row{ID: r.ID, Conversation: b.two, Created: r.Created, Updated: r.Updated, Foreign: true}, r)
	}
	own(shown, mine)
}

func TestRowsWhoseConversationIsNotKnownAreLeftOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.say(b.one, 0, 3)
	b.Always(fliplettest.CrossSource, fliplettest.OmitFields("dataSourceId"))
	found, err := rows.New(b.cfg).Search(t.Context(), rows.Search{Limit: 10})
	require.NoError(t, err)
	assert.Empty(t, found)
}

func TestAGateThatFailsLetsNothingThrough(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.say(b.one, 0, 3)
	broken := errors.New("broken")
	b.cfg.Foreign = func(context.Context, []int64) (map[int64]bool, error) { return nil, broken }
	s := rows.New(b.cfg)
	_, err := s.Search(t.Context(), rows.Search{Limit: 10})
	require.ErrorIs(t, err, broken)
	_, err = s.Search(t.Context(), rows.Search{Limit: 10, Order: []datasource.Order{{Column: "id"}}})
	require.ErrorIs(t, err, broken)
	_, _, _, err = s.Answer(t.Context(), feed.Query{Kind: feed.Newest, Limit: 10})
	require.ErrorIs(t, err, broken)
}
