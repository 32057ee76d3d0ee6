package chat_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// diary is a log that tests can read while it is written.
type diary struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.Write(p)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.String()
}

const switched = "asking for each"

func TestTheFallbackIsTakenOnceAndSaidOnce(t *testing.T) {
	t.Parallel()
	for _, status := range []int{404, 405, 400} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var log diary
			jane := w.login("jane", func(o *chat.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			w.say(jane, w.converse(jane, "bob"), "hi")
			w.Always(fliplettest.CrossSource, fliplettest.Status(status))
			for range 3 {
				msgs, err := jane.Messages(t.Context())
				require.NoError(t, err)
				assert.Equal(t, []string{"hi"}, bodies(msgs))
			}
			assert.Equal(t, 1, w.Count(fliplettest.CrossSource))
			assert.Equal(t, 1, strings.Count(log.String(), switched))
		})
	}
}

func TestABadWhereIsNotTakenForAnAbsentEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	w.say(jane, w.converse(jane, "bob"), "hi")
	_, err := jane.Messages(t.Context(), chat.WhereRow(chat.M{"createdAt": chat.M{"$foo": 1}}))
	var refused *datasource.Error
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, 400, refused.StatusCode)
	before := w.Count(fliplettest.CrossSource)
	_, err = jane.Messages(t.Context())
	require.NoError(t, err)
	assert.Equal(t, before+1, w.Count(fliplettest.CrossSource), "the endpoint is still in use")

	for _, status := range []int{500, 401} {
		lever := w.Always(fliplettest.CrossSource, fliplettest.Status(status))
		_, err = jane.Messages(t.Context())
		require.Error(t, err)
		lever.Off()
	}
	lever := w.Always(fliplettest.CrossSource, fliplettest.Answer(400, `{"message":"no","type":"datasource.access"}`))
	_, err = jane.Messages(t.Context())
	require.ErrorIs(t, err, datasource.ErrAccessDenied)
	lever.Off()
	before = w.Count(fliplettest.CrossSource)
	_, err = jane.Messages(t.Context())
	require.NoError(t, err)
	assert.Equal(t, before+1, w.Count(fliplettest.CrossSource))
}

func TestAnswersAreTheSameWithoutTheCrossSourceEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane", plainBodies), w.login("bob", plainBodies)
	eve := w.login("eve")
	one, two := w.converse(jane, "bob"), w.converse(jane, "bob", "eve")
	foreign := w.converse(eve, "bob")
	archive(w, one, 230, 100)
	archive(w, two, 230, 50)
	archive(w, foreign, 3, 1)
	for i := range 4 {
		_, err := bob.Message(t.Context(), two.ID, chat.Draft{Body: fmt.Sprint("bob ", i), Data: chat.M{"n": i, "meta": chat.M{"kind": "note"}}})
		require.NoError(t, err)
	}
	removed := w.say(bob, one, "removed")
	require.NoError(t, bob.DeleteMessage(t.Context(), one.ID, removed.ID))
	all, err := jane.Messages(t.Context(), chat.Limit(1000))
	require.NoError(t, err)
	require.Len(t, all, 464)
	middle := all[300]

	without := w.login("jane", plainBodies, func(o *chat.Options) {
		o.Client = must(datasource.NewClient(datasource.Config{Token: w.Token, BaseURL: w.URL, Limiter: datasource.Unlimited(), HTTPClient: &http.Client{Transport: absent{w.Transport()}}}))
	})
	from := bob.User().UserID
	for name, opts := range map[string][]chat.MessagesOption{
		"all":            {chat.Limit(1000)},
		"newest page":    {},
		"one":            {chat.Limit(1)},
		"in one":         {chat.In(one.ID), chat.Limit(7)},
		"offset":         {chat.Limit(10), chat.Offset(395)},
		"past the end":   {chat.Offset(1000)},
		"older than":     {chat.WhereRow(chat.M{"createdAt": chat.M{"$lt": middle.CreatedAt}}), chat.Limit(50)},
		"older and in":   {chat.WhereRow(chat.M{"createdAt": chat.M{"$lte": middle.CreatedAt}}), chat.In(two.ID), chat.Limit(50)},
		"by sender":      {chat.WhereRow(chat.M{"data": chat.M{"$contains": chat.M{"fromUserId": from}}})},
		"not by sender":  {chat.WhereRow(chat.M{"$not": chat.M{"data": chat.M{"$contains": chat.M{"fromUserId": from}}}}), chat.Limit(300)},
		"by path":        {chat.WhereRow(chat.M{"data": chat.M{"meta": chat.M{"kind": "note"}}}), chat.Limit(3)},
		"by id":          {chat.WhereRow(chat.M{"id": []int64{all[3].ID, all[400].ID}})},
		"either":         {chat.WhereRow(chat.M{"$or": []chat.M{{"id": all[3].ID}, {"dataSourceId": one.ID, "createdAt": chat.M{"$gte": middle.CreatedAt}}}}), chat.Limit(400)},
		"sorted by id":   {chat.OrderBy("id", datasource.Asc), chat.Limit(10), chat.Offset(3)},
		"sorted by time": {chat.OrderBy("updatedAt", datasource.Desc), chat.OrderBy("id", datasource.Asc), chat.Limit(60)},
		"sorted, where":  {chat.OrderBy("id", datasource.Desc), chat.WhereRow(chat.M{"dataSourceId": two.ID}), chat.Limit(10)},
		"sorted by data": {chat.OrderBy("data.n", datasource.Desc), chat.OrderBy("id", datasource.Desc), chat.WhereRow(chat.M{"data.meta.kind": "note"})},
		"unknown column": {chat.WhereRow(chat.M{"data.nobody": "x"})},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := jane.Messages(t.Context(), opts...)
			require.NoError(t, err)
			got, err := without.Messages(t.Context(), opts...)
			require.NoError(t, err)
			assert.Equal(t, must(json.Marshal(want)), must(json.Marshal(got)))
			assert.Equal(t, bodies(want), bodies(got))
		})
	}
	for _, c := range []*chat.Chat{jane, without} {
		_, err := c.Messages(t.Context(), chat.In(one.ID, foreign.ID))
		require.ErrorIs(t, err, chat.ErrNotFound, "one of them is not hers")
	}
	want, err := jane.Unread().Get(t.Context())
	require.NoError(t, err)
	got, err := without.Unread().Get(t.Context())
	require.NoError(t, err)
	assert.Equal(t, must(json.Marshal(want)), must(json.Marshal(got)))
	n, err := without.Unread().Count(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 464, n)

	_, err = without.Messages(t.Context(), chat.WhereRow(chat.M{"data": chat.M{"meta": chat.M{"$contained": chat.M{}}}}))
	require.ErrorIs(t, err, errors.ErrUnsupported)
	assert.ErrorContains(t, err, "$contained")
}

// absent is a server without the cross-source endpoint.
type absent struct{ http.RoundTripper }

func (a absent) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == "POST" && r.URL.Path == "/v1/data-sources/data" {
		return &http.Response{
			StatusCode: 404, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(`{"message":"no such data source"}`)),
		}, nil
	}
	return a.RoundTripper.RoundTrip(r)
}

// A proxy says 404 while a server is replaced. That is no reason to ask for each
// conversation for the rest of a Chat's life.
func TestAnEndpointThatSeemedAbsentIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, status := range []int{404, 405, 400} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				jane := w.login("jane")
				w.say(jane, w.converse(jane, "bob"), "hello")
				bob := w.login("bob")
				count := func() { // one question, with or without the endpoint
					n, err := bob.Unread().Count(t.Context())
					require.NoError(t, err)
					require.Equal(t, 1, n)
				}
				w.Next(1, fliplettest.CrossSource, fliplettest.Status(status))
				count()
				for range 100 {
					count()
				}
				assert.Equal(t, 1, w.Count(fliplettest.CrossSource), "it is not asked each time")
				time.Sleep(time.Minute)
				before := w.Count(fliplettest.Query)
				for range 100 {
					count()
				}
				assert.Equal(t, 101, w.Count(fliplettest.CrossSource), "it is there again after a minute")
				assert.Equal(t, before, w.Count(fliplettest.Query))

				// A server that really lacks it is asked ever more rarely.
				lever := w.Always(fliplettest.CrossSource, fliplettest.Status(status))
				for range 24 * 60 {
					count()
					time.Sleep(time.Minute)
				}
				assert.InDelta(t, 24+5, lever.Hits(), 4, "questions in a day")
				lever.Off()
				time.Sleep(time.Hour)
				hits := w.Count(fliplettest.CrossSource)
				for range 10 {
					count()
				}
				assert.Equal(t, hits+10, w.Count(fliplettest.CrossSource))
			})
		})
	}
}

func TestStreamsWithoutTheCrossSourceEndpoint(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]fliplettest.Fault{
		"documented": {}, "tombstones are ids": {fliplettest.OmitFields("updatedAt", "createdAt", "deletedAt", "dataSourceId")},
		"order ignored": {fliplettest.Ignore("order")}, "limit ignored": {fliplettest.Ignore("limit")}, "shuffled": {fliplettest.Shuffle()},
		"filters ignored": {fliplettest.Ignore("createdAt", "id")}, "repeated": {fliplettest.DuplicateRow()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Always(fliplettest.CrossSource, fliplettest.Status(404))
			jane, bob := w.login("jane"), w.login("bob")
			conv := w.converse(jane, "bob")
			archive(w, conv, 50, 50)
			w.ShiftClock(time.Minute) // older than what polls read twice
			archive(w, conv, 200, 200)
			if name == "tombstones are ids" {
				// Live rows keep their times: the lever is on for the deletion's poll only.
				toBob := stream(t, bob)
				toBob.wait(t, 200)
				m := w.say(jane, conv, "gone soon")
				toBob.wait(t, 201)
				require.NoError(t, jane.DeleteMessage(t.Context(), conv.ID, m.ID))
				w.Always(fliplettest.Query, faults...)
				got := toBob.wait(t, 202)[201]
				assert.True(t, got.IsDeleted)
				assert.Equal(t, m.ID, got.ID)
				for range 3 {
					require.NoError(t, bob.Poll(t.Context()))
				}
				assert.Len(t, toBob.all(), 202, "a tombstone comes once")
				return
			}
			if len(faults) > 0 {
				w.Always(fliplettest.Query, faults...)
			}
			toBob := stream(t, bob)
			for i, m := range toBob.wait(t, 200) {
				assert.Equal(t, fmt.Sprint(i), m.Body)
			}
			// All of this shares a few timestamps with what is there.
			w.FreezeClock()
			archive(w, conv, 450, 450)
			first := w.say(jane, conv, "first")
			group := w.converse(jane, "bob", "eve")
			second := w.say(jane, group, "second")
			toBob.wait(t, 652)
			_, err := jane.UpdateMessage(t.Context(), conv.ID, first.ID, chat.M{"body": "edited"})
			require.NoError(t, err)
			toBob.wait(t, 653)
			require.NoError(t, jane.DeleteMessage(t.Context(), group.ID, second.ID))
			got := toBob.wait(t, 654)
			assert.Equal(t, "edited", got[652].Body)
			assert.True(t, got[652].IsUpdate)
			assert.True(t, got[653].IsDeleted)
			assert.Equal(t, second.ID, got[653].ID)
			for range 3 {
				require.NoError(t, bob.Poll(t.Context()))
			}
			assert.Len(t, toBob.all(), 654)
			seen := map[int64]int{}
			for _, m := range got[:652] {
				assert.False(t, m.IsUpdate)
				if seen[m.ID]++; seen[m.ID] > 1 {
					t.Errorf("message %d came again", m.ID)
				}
			}
		})
	}
}

func TestTheFallbackAsksAFewConversationsAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	for i := range 30 {
		w.AddDataSource(datasource.M{"name": fmt.Sprint(i), "type": "conversation", "appId": w.AppID,
			"definition": chat.M{"participants": []string{jane.User().UserID}}, "entries": []datasource.M{{"body": fmt.Sprint(i)}}})
	}
	count := &crowd{RoundTripper: w.Transport()}
	jane = w.login("jane", func(o *chat.Options) {
		o.Client = must(datasource.NewClient(datasource.Config{Token: w.Token, BaseURL: w.URL, Limiter: datasource.Unlimited(), HTTPClient: &http.Client{Transport: count}}))
	})
	w.Always(fliplettest.CrossSource, fliplettest.Status(404))
	w.Always(fliplettest.Query, fliplettest.Delay(2*time.Millisecond))
	msgs, err := jane.Messages(t.Context())
	require.NoError(t, err)
	assert.Len(t, msgs, 30)
	assert.LessOrEqual(t, count.most, 8)
	assert.Greater(t, count.most, 1)

	w.After(3, 1, fliplettest.Query, fliplettest.Status(409))
	_, err = jane.Messages(t.Context())
	var refused *datasource.Error
	require.True(t, errors.As(err, &refused), "one failure fails the whole, not a part goes missing: %v", err)
	assert.Equal(t, 409, refused.StatusCode)
}

// crowd counts the requests under way.
type crowd struct {
	http.RoundTripper
	mu        sync.Mutex
	now, most int
}

func (c *crowd) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.now++
	c.most = max(c.most, c.now)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.now--
		c.mu.Unlock()
	}()
	return c.RoundTripper.RoundTrip(r)
}

// Without the query over all conversations each is asked, and a gateway says of one that
// it does not exist. Positions must not move on as if it were empty.
func TestAGatewaysNotFoundLosesNoMessageOfAConversation(t *testing.T) {
	t.Parallel()
	for _, body := range []string{proxyPage, " ", `{"message":"no route"}`} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, fliplettest.InProcess())
			jane := w.login("jane")
			first, second := w.converse(jane, "bob"), w.converse(jane, "bob", "eve")
			w.say(jane, first, "a")
			w.say(jane, second, "b")
			time.Sleep(time.Minute)
			w.Always(fliplettest.CrossSource, fliplettest.Status(404))
			var blocked atomic.Bool
			hidden := fmt.Sprintf("/%d/data/query", second.ID)
			gateway := roundTripper(func(r *http.Request) (*http.Response, error) {
				if blocked.Load() && strings.HasSuffix(r.URL.Path, hidden) {
					return &http.Response{StatusCode: 404, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(body))}, nil
				}
				return w.Transport().RoundTrip(r)
			})
			bob := w.login("bob", w.through(gateway))
			blocked.Store(true)
			r := newRecorder()
			_, err := bob.Stream(t.Context(), r.add, chat.StartAt(chat.FromBeginning))
			require.NoError(t, err)
			time.Sleep(time.Minute)
			blocked.Store(false)
			w.say(jane, first, "c")
			time.Sleep(10 * time.Minute)
			assert.ElementsMatch(t, []string{"a", "b", "c"}, bodies(r.all()), body)
			require.NoError(t, bob.Close())
		})
	}
}
