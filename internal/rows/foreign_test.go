package rows_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// reading lets a Source read little at a time, so that a page of small rows is too large for one answer.
func (b *bench) reading(t *testing.T, most int64) {
	client, err := datasource.NewClient(datasource.Config{
		Token: b.Token, BaseURL: b.URL, HTTPClient: &http.Client{Transport: b.Transport()}, Limiter: datasource.Unlimited(), MaxResponseBytes: most,
	})
	require.NoError(t, err)
	b.cfg.Client = client
}

// Whatever a Source is asked, and however large the answers are.
func TestNoRowOfAForeignConversationLeavesTheRoom(t *testing.T) {
	t.Parallel()
	for name, most := range map[string]int64{"answers of any size": 0, "pages in pieces": 20 << 10, "one row at a time": 5 << 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			noForeignRow(t, most)
		})
	}
}

func noForeignRow(t *testing.T, most int64) {
	b := newBench(t)
	filler := strings.Repeat("x", 2<<10)
	for i := range 12 {
		for conversation, n := range map[int64]int{b.one: 3, b.two: 5} {
			list := make([]datasource.M, n)
			for k := range list {
				list[k] = datasource.M{"body": fmt.Sprint(i, k, filler), "readBy": []string{"u-bob"}}
			}
			b.AddRows(conversation, list...)
		}
	}
	b.reading(t, most)
	b.cfg.Roster = strangers(func(ids []int64) (map[int64]bool, error) {
		if !slices.Contains(ids, b.two) {
			return nil, nil
		}
		return map[int64]bool{b.two: true}, nil
	})
	own := func(list []datasource.Entry, n int) {
		t.Helper()
		assert.Len(t, list, n)
		for _, e := range list {
			assert.Equal(t, b.one, e.DataSourceID)
		}
	}
	// Each question is the first one of a client, too.
	fresh := func() *rows.Source {
		b.cfg.Endpoint = &rows.Endpoint{}
		return rows.New(b.cfg)
	}
	n, err := fresh().CountUnread(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 36, n)
	for _, s := range []*rows.Source{fresh(), nil, rows.New(b.cfg)} {
		if s == nil {
			n, err := rows.New(b.cfg).CountUnread(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 36, n)
			continue
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
		page, err := s.Older(t.Context(), b.two, feed.Key{}, 10)
		require.NoError(t, err)
		own(page.Rows, 0)

		places, after := 0, feed.Key{}
		for more := true; more; {
			answer, err := s.Answer(t.Context(), feed.Query{Kind: feed.Changes, After: after, Limit: 50})
			require.NoError(t, err)
			mine := 0
			for _, r := range answer.Rows {
				after = feed.Key{Time: r.Updated, ID: r.ID}
				if r.Conversation == b.one {
					mine++
					continue
				}
				assert.Equal(t, feed.Row{ID: r.ID, Conversation: b.two, Created: r.Created, Updated: r.Updated, Foreign: true}, r)
			}
			own(answer.Shown, mine)
			places += len(answer.Rows)
			more = answer.Short && len(answer.Rows) > 0 || len(answer.Rows) == 50
		}
		assert.Equal(t, 96, places, "they keep their place")
	}
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

// Whoever writes a row chooses what is in its column conversationId.
func TestARowsColumnCountsOnlyWhereTheServerSendsNoConversations(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.AddRows(b.one, datasource.M{"body": "one", "conversationId": b.one})
	claim := b.AddRows(b.two, datasource.M{"body": "two", "conversationId": b.one})[0]
	strip := false
	client, err := datasource.NewClient(datasource.Config{
		Token: b.Token, BaseURL: b.URL, Limiter: datasource.Unlimited(),
		HTTPClient: &http.Client{Transport: rewriter{b.Transport(), func(answer []byte) []byte {
			of := ""
			if !strip { // of the one row only
				of = fmt.Sprintf(`"id":%d,`, claim)
			}
			return regexp.MustCompile(`(`+of+`)"dataSourceId":\d+,`).ReplaceAll(answer, []byte("$1"))
		}}},
	})
	require.NoError(t, err)
	b.cfg.Client = client
	search := func() map[string]int64 {
		found, err := rows.New(b.cfg).Search(t.Context(), rows.Search{Limit: 10})
		require.NoError(t, err)
		got := map[string]int64{}
		for _, e := range found {
			got[fmt.Sprint(e.Data["body"])] = e.DataSourceID
		}
		return got
	}
	strip = true
	assert.Equal(t, map[string]int64{"one": b.one, "two": b.one}, search(), "this is all that is known")
	strip = false
	assert.Equal(t, map[string]int64{"one": b.one}, search(), "the other row has one")
	answer, err := rows.New(b.cfg).Answer(t.Context(), feed.Query{Kind: feed.Newest, Limit: 10})
	require.NoError(t, err)
	require.Len(t, answer.Rows, 1)
	require.Len(t, answer.Shown, 1)
	strip = true
	assert.Empty(t, search(), "the server has sent them before")
}

// rewriter changes the answers of the cross-source endpoint.
type rewriter struct {
	http.RoundTripper
	change func([]byte) []byte
}

func (w rewriter) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(r)
	if err != nil || r.URL.Path != "/v1/data-sources/data" {
		return resp, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	body = w.change(body)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return resp, nil
}

func TestAGateThatFailsLetsNothingThrough(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.say(b.one, 0, 3)
	broken := errors.New("broken")
	b.cfg.Roster = strangers(func([]int64) (map[int64]bool, error) { return nil, broken })
	s := rows.New(b.cfg)
	_, err := s.Search(t.Context(), rows.Search{Limit: 10})
	require.ErrorIs(t, err, broken)
	_, err = s.Search(t.Context(), rows.Search{Limit: 10, Order: []datasource.Order{{Column: "id"}}})
	require.ErrorIs(t, err, broken)
	_, err = s.Answer(t.Context(), feed.Query{Kind: feed.Newest, Limit: 10})
	require.ErrorIs(t, err, broken)
}
